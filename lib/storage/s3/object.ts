import { HeadObjectCommand, type HeadObjectCommandOutput } from '@aws-sdk/client-s3';

import type { KeptChecksums } from '../storage';
import { alreadyExists } from '../taken';

import type { S3Target } from './client';
import { hasStatus, isMissing } from './errors';

/** Name of the object's metadata that tells which upload wrote it. */
export const UPLOAD_ID = 'lifeboat-upload';

/** What the service says of an object; nothing if it isn't there. */
export async function head(
	target: S3Target,
	key: string,
	signal?: AbortSignal,
): Promise<HeadObjectCommandOutput | undefined> {
	try {
		return await target.client.send(new HeadObjectCommand({ Bucket: target.bucket, Key: key }), {
			abortSignal: signal,
		});
	} catch (error) {
		if (isMissing(error)) return undefined;
		throw error;
	}
}

/**
 * Whether the object is what this upload sent, although the service answered with an error: when an answer was lost, the
 * SDK's repetition meets its own success (412 to a conditional put, 404 to a completion).
 */
export async function isOurs(
	target: S3Target,
	{ key, id }: { key: string; id: string },
	error: unknown,
): Promise<boolean> {
	if (!hasStatus(error, 404, 409, 412)) return false;
	const there = await head(target, key);
	return there?.Metadata?.[UPLOAD_ID] === id;
}

/** @throws LifeboatError `ALREADY_EXISTS`. */
export async function assertFree(target: S3Target, key: string, signal: AbortSignal): Promise<void> {
	if (await head(target, key, signal)) throw alreadyExists(key, target.description);
}

/** What to throw for an error of a conditional request. */
export function conflict(target: S3Target, key: string, error: unknown): unknown {
	return hasStatus(error, 409, 412) ? alreadyExists(key, target.description, error) : error;
}

/** What the service keeps of an object's content; nothing if it isn't there. */
export async function checksumsKept(
	target: S3Target,
	Key: string,
	abortSignal?: AbortSignal,
): Promise<KeptChecksums | undefined> {
	const asked = new HeadObjectCommand({ Bucket: target.bucket, Key, ChecksumMode: 'ENABLED' });
	try {
		const there = await target.client.send(asked, { abortSignal });
		const { ChecksumSHA256: sum, ChecksumType } = there;
		// Of an object in parts it is that of their checksums, with their number behind it.
		const isWhole = sum !== undefined && ChecksumType !== 'COMPOSITE' && !sum.includes('-');
		return { ...described(there), ...(isWhole && { sha256: Buffer.from(sum, 'base64').toString('hex') }) };
	} catch (error) {
		if (isMissing(error)) return undefined;
		throw error;
	}
}

/** Two versions with the same content differ in their id only. Where the bucket keeps none, it is `null`. */
export function versionOf(
	answer: { ETag?: string | undefined; VersionId?: string | undefined } | undefined,
): string | undefined {
	if (!answer?.ETag) return undefined;
	const { ETag, VersionId = 'null' } = answer;
	return VersionId === 'null' ? ETag : `${ETag} ${VersionId}`;
}

/** The version as a property, where there is one. */
export function described(answer: Parameters<typeof versionOf>[0]): { version?: string } {
	const version = versionOf(answer);
	return version === undefined ? {} : { version };
}
