import {
	HeadObjectCommand,
	PutObjectCommand,
	type HeadObjectCommandOutput,
	type PutObjectCommandOutput,
} from '@aws-sdk/client-s3';
import { createHash, randomUUID } from 'node:crypto';
import type { Readable } from 'node:stream';

import { LifeboatError, messageOf } from '../../errors';
import { PartReader } from '../parts';
import type { PutOptions, StoredObject } from '../storage';
import { alreadyExists, wrongLength } from '../taken';

import { withClaim } from './claim';
import type { S3Target } from './client';
import { hasStatus, isMissing, isNotImplemented, mayPass } from './errors';
import {
	abortUpload,
	completeUpload,
	isMd5,
	uploadParts,
	type UploadedParts,
	type UploadRequest,
} from './multipart';
import { ensureKept } from './ensure-kept';
import { partSizes } from './parts';
import { closeSession, leaveSession, openSession, type UploadSession } from './session';
import { needsChecksum, writeParams } from './write-params';

/** Name of the object's metadata that tells which upload wrote it. */
const UPLOAD_ID = 'lifeboat-upload';

/** Stores a stream: in one request if it fits into a part, else in parts. @throws as `Storage.put`, errors of the SDK unchanged. */
export async function upload(
	target: S3Target,
	key: string,
	source: Readable,
	options: PutOptions,
): Promise<StoredObject> {
	const { size, ifExists = 'fail', contentType, resumable, checksums = false } = options;
	const { signal = new AbortController().signal } = options;
	const onlyNew = ifExists === 'fail';
	const request: UploadRequest = {
		...{ key, contentType, id: randomUUID(), checksums: checksums || needsChecksum(target.write) },
		write: writeParams(target.write, options.role),
	};
	const reader = new PartReader(source);
	const cancel = () => reader.cancel(signal.reason);
	signal.addEventListener('abort', cancel, { once: true });
	try {
		signal.throwIfAborted();
		if (onlyNew) await assertFree(target, key, signal);
		const sizes = partSizes(size, target.equalParts);
		const first = await reader.fill(Buffer.allocUnsafeSlow(Math.min(sizes(1), size ?? Infinity) || 1));
		if (reader.ended) {
			assertLength(key, size, first.length);
			const md5 = request.checksums ? createHash('md5').update(first).digest() : undefined;
			const answer = await putWhole(target, request, first, md5, onlyNew, signal);
			await ensureKept(target, key, options.role, signal);
			const version = versionOf(answer);
			const received = isMd5(answer?.ETag, md5) ? { receivedChecksum: 'MD5' } : {};
			if (version !== undefined)
				return { key, size: first.length, modifiedAt: new Date(), version, ...received };
			return await stored(target, request, first.length, signal);
		}
		const sent = await putParts(target, request, reader, first, { size, sizes, onlyNew, resumable, signal });
		await ensureKept(target, key, options.role, signal);
		const received = sent.confirmed ? { receivedChecksum: 'MD5 of each part' } : {};
		return { ...(await stored(target, request, sent.size, signal)), ...received };
	} finally {
		signal.removeEventListener('abort', cancel);
		source.destroy();
	}
}

async function putWhole(
	target: S3Target,
	request: UploadRequest,
	body: Buffer,
	md5: Buffer | undefined,
	onlyNew: boolean,
	signal: AbortSignal,
): Promise<PutObjectCommandOutput | undefined> {
	const put = (condition: { IfNoneMatch?: '*' }, stop = signal) =>
		target.client.send(
			new PutObjectCommand({
				...{ Bucket: target.bucket, Key: request.key, Body: body, ContentLength: body.length },
				...{ ContentType: request.contentType, Metadata: { [UPLOAD_ID]: request.id }, ...condition },
				...{ ...request.write, ...(md5 && { ContentMD5: md5.toString('base64') }) },
			}),
			{ abortSignal: stop },
		);
	const claimed = async () => {
		const free = () => assertFree(target, request.key, signal);
		return await withClaim(target, request.key, signal, free, async (whileMine) => {
			await free();
			return await put({}, whileMine);
		});
	};
	try {
		if (onlyNew && !target.conditionalPut) return await claimed();
		return await put(onlyNew ? { IfNoneMatch: '*' } : {});
	} catch (error) {
		if (onlyNew && target.conditionalPut && isNotImplemented(error)) return await claimed();
		if (await isOurs(target, request, error)) return undefined;
		throw conflict(target, request.key, error);
	}
}

interface PartsOptions {
	size: number | undefined;
	sizes: (partNumber: number) => number;
	onlyNew: boolean;
	resumable: PutOptions['resumable'];
	signal: AbortSignal;
}

/** What was sent has been kept for the next try. */
export class UploadKept extends Error {
	constructor(override readonly cause: unknown) {
		super('The upload was cut off');
	}
}

async function putParts(
	target: S3Target,
	request: UploadRequest,
	reader: PartReader,
	first: Buffer,
	{ size, sizes, onlyNew, resumable, signal }: PartsOptions,
): Promise<UploadedParts> {
	const { key } = request;
	const content =
		resumable && size !== undefined ? { size, sha256: resumable.sha256, partSize: sizes(1) } : undefined;
	const create = {
		...{ Bucket: target.bucket, Key: key, ContentType: request.contentType },
		Metadata: { [UPLOAD_ID]: request.id },
		...request.write,
	};
	const session = await openSession(target, request, create, content, signal);
	const mine = { ...request, id: session.record.id };
	try {
		const sent = await uploadParts(target, request, reader, first, sizes, session, signal);
		assertLength(key, size, sent.size);
		const free = () => assertFree(target, key, signal);
		const complete = async (whileMine: AbortSignal) => {
			if (onlyNew) await free();
			try {
				await completeUpload(target, key, sent, onlyNew && target.conditionalCompletion, whileMine);
			} catch (error) {
				if (!(await isOurs(target, mine, error))) throw conflict(target, key, error);
			}
		};
		if (onlyNew && !target.conditionalCompletion) {
			await withClaim(target, key, signal, free, complete);
		} else await complete(signal);
		await closeSession(target, session);
		return sent;
	} catch (error) {
		if (content && !signal.aborted && mayPass(error)) {
			await leaveSession(target, session);
			throw new UploadKept(error);
		}
		await abort(target, key, session, error);
		throw error;
	}
}

async function abort(target: S3Target, key: string, session: UploadSession, error: unknown): Promise<void> {
	try {
		await abortUpload(target, key, session.uploadId);
		await closeSession(target, session);
	} catch (abortError) {
		throw new LifeboatError(
			error instanceof LifeboatError ? error.code : 'STORAGE_FAILED',
			`${key} was not stored in ${target.description}, and its unfinished upload could not be removed`,
			{
				hint: 'Remove unfinished uploads later: they cost space. Nothing is visible under the key',
				cause: new AggregateError([error, abortError], messageOf(error)),
			},
		);
	}
}

/**
 * Whether the object is what this upload sent, although the service answered with an error: when an answer was lost, the
 * SDK's repetition meets its own success (412 to a conditional put, 404 to a completion).
 */
async function isOurs(target: S3Target, request: UploadRequest, error: unknown): Promise<boolean> {
	if (!hasStatus(error, 404, 409, 412)) return false;
	const there = await head(target, request.key);
	return there?.Metadata?.[UPLOAD_ID] === request.id;
}

async function assertFree(target: S3Target, key: string, signal: AbortSignal): Promise<void> {
	if (await head(target, key, signal)) throw alreadyExists(key, target.description);
}

function conflict(target: S3Target, key: string, error: unknown): unknown {
	return hasStatus(error, 409, 412) ? alreadyExists(key, target.description, error) : error;
}

function assertLength(key: string, expected: number | undefined, found: number): void {
	if (expected === undefined || expected === found) return;
	throw wrongLength(key, expected, found);
}

async function stored(
	target: S3Target,
	{ key }: UploadRequest,
	size: number,
	signal: AbortSignal,
): Promise<StoredObject> {
	const there = await head(target, key, signal);
	return {
		key,
		size,
		modifiedAt: there?.LastModified ?? new Date(),
		...(there && described(there)),
	};
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
