import {
	DeleteObjectCommand,
	PutObjectLegalHoldCommand,
	PutObjectRetentionCommand,
	PutObjectTaggingCommand,
} from '@aws-sdk/client-s3';

import { LifeboatError } from '../../errors';
import type { PutOptions } from '../storage';

import type { S3Target } from './client';
import { s3Problem } from './errors';
import { head, UPLOAD_ID } from './object';
import { writeParams } from './write-params';

/**
 * Makes sure that an object which is there is locked and tagged as it should be. Some services ignore what the request that began a
 * multipart upload says of it (Ceph 16): they are asked again. The lock comes first, since it is what protects the object.
 *
 * @throws LifeboatError `LOCK_FAILED`, `TAGGING_FAILED`; an abort passes unchanged.
 */
export async function ensureKept(
	target: S3Target,
	key: string,
	role: PutOptions['role'] = 'content',
	signal?: AbortSignal,
): Promise<void> {
	const wanted = writeParams(target.write, role);
	const isLocked = wanted.ObjectLockMode !== undefined || wanted.ObjectLockLegalHoldStatus !== undefined;
	const explain = (code: string, what: string, hint: string) => (error: unknown) => {
		signal?.throwIfAborted();
		throw new LifeboatError(
			code,
			`${key} in ${target.description} could not be ${what} as it should: ${s3Problem(error)}`,
			{ hint, cause: error },
		);
	};
	if (isLocked)
		await ensureLock(target, key, wanted, signal).catch(
			explain(
				'LOCK_FAILED',
				'locked',
				'Check that the bucket was created with object lock, and that the key has s3:PutObjectRetention and s3:PutObjectLegalHold',
			),
		);
	if (wanted.Tagging)
		await ensureTags(target, key, target.write.tags!, signal).catch(
			explain(
				'TAGGING_FAILED',
				'tagged',
				'The object itself is stored. Check that the key has s3:PutObjectTagging, or remove the tags, and run the node again: nothing is sent twice',
			),
		);
}

async function ensureLock(
	target: S3Target,
	key: string,
	wanted: ReturnType<typeof writeParams>,
	abortSignal: AbortSignal | undefined,
): Promise<void> {
	const { ObjectLockMode: Mode, ObjectLockRetainUntilDate: RetainUntilDate } = wanted;
	const object = { Bucket: target.bucket, Key: key };
	let there = await head(target, key, abortSignal);
	const isRetained = () =>
		Mode === undefined ||
		(there?.ObjectLockMode === Mode && +there.ObjectLockRetainUntilDate! >= +RetainUntilDate! - 1000);
	const isHeld = () =>
		wanted.ObjectLockLegalHoldStatus === undefined || there?.ObjectLockLegalHoldStatus === 'ON';
	if (isRetained() && isHeld()) return;
	if (!isRetained()) {
		const Retention = { Mode, RetainUntilDate };
		await target.client.send(new PutObjectRetentionCommand({ ...object, Retention }), { abortSignal });
	}
	if (!isHeld()) {
		const LegalHold = { Status: 'ON' as const };
		await target.client.send(new PutObjectLegalHoldCommand({ ...object, LegalHold }), { abortSignal });
	}
	there = await head(target, key, abortSignal);
	if (!isRetained() || !isHeld()) throw new Error('the service does not show the lock');
}

async function ensureTags(
	target: S3Target,
	key: string,
	tags: Record<string, string>,
	abortSignal: AbortSignal | undefined,
): Promise<void> {
	const TagSet = Object.entries(tags).map(([Key, Value]) => ({ Key, Value }));
	const there = await head(target, key, abortSignal);
	if (TagSet.length === (there?.TagCount ?? 0)) return;
	const object = { Bucket: target.bucket, Key: key };
	await target.client.send(new PutObjectTaggingCommand({ ...object, Tagging: { TagSet } }), { abortSignal });
}

/**
 * Takes an object back that was just put but can't be kept as it should: whoever wants a lock must not find an object without one.
 * Where it replaced another one for good it stays, since nothing at all would be left.
 *
 * @param id of the upload; what another one has put there meanwhile stays.
 */
export async function withdraw(
	target: S3Target,
	{ key, id }: { key: string; id: string },
	replaced: boolean,
): Promise<void> {
	const there = await head(target, key);
	if (there?.Metadata?.[UPLOAD_ID] !== id) return;
	const { VersionId = 'null' } = there;
	const isVersion = VersionId !== 'null';
	if (replaced && !isVersion) return;
	// Its version alone: so the one that it hid comes to light again, and no marker stays.
	const version = isVersion ? { VersionId } : {};
	await target.client.send(new DeleteObjectCommand({ Bucket: target.bucket, Key: key, ...version }));
}
