import {
	PutObjectLegalHoldCommand,
	PutObjectRetentionCommand,
	PutObjectTaggingCommand,
} from '@aws-sdk/client-s3';

import { LifeboatError, messageOf } from '../../errors';
import type { PutOptions } from '../storage';

import type { S3Target } from './client';
import { removeObject } from './remove';
import { head } from './upload';
import { writeParams } from './write-params';

/**
 * Makes sure that an object which was just stored is locked and tagged as it should be. Some services ignore what the request that began
 * a multipart upload says of it (Ceph 16): they are asked again, and what can't be locked is removed.
 *
 * @throws LifeboatError `LOCK_FAILED`.
 */
export async function ensureKept(
	target: S3Target,
	key: string,
	role: PutOptions['role'] = 'content',
	signal?: AbortSignal,
): Promise<void> {
	const wanted = writeParams(target.write, role);
	const { ObjectLockMode: Mode, ObjectLockRetainUntilDate: RetainUntilDate } = wanted;
	const tags = Object.entries((wanted.Tagging && target.write.tags) || {});
	if (!Mode && !wanted.ObjectLockLegalHoldStatus && tags.length === 0) return;
	const object = { Bucket: target.bucket, Key: key };
	try {
		let there = await head(target, key, signal);
		const isRetained = () =>
			Mode === undefined ||
			(there?.ObjectLockMode === Mode && +there.ObjectLockRetainUntilDate! >= +RetainUntilDate! - 1000);
		const isHeld = () =>
			wanted.ObjectLockLegalHoldStatus === undefined || there?.ObjectLockLegalHoldStatus === 'ON';
		if (tags.length !== (there?.TagCount ?? 0)) {
			const TagSet = tags.map(([Key, Value]) => ({ Key, Value }));
			await target.client.send(new PutObjectTaggingCommand({ ...object, Tagging: { TagSet } }));
		}
		if (isRetained() && isHeld()) return;
		if (!isRetained())
			await target.client.send(
				new PutObjectRetentionCommand({ ...object, Retention: { Mode, RetainUntilDate } }),
			);
		if (!isHeld())
			await target.client.send(new PutObjectLegalHoldCommand({ ...object, LegalHold: { Status: 'ON' } }));
		there = await head(target, key, signal);
		if (isRetained() && isHeld()) return;
		throw new Error('the service does not show the lock');
	} catch (error) {
		// Whoever wants a lock must not find an object without one; one without tags is a backup all the same.
		if (Mode !== undefined || wanted.ObjectLockLegalHoldStatus)
			await removeObject(target, key).catch(() => {});
		throw new LifeboatError(
			'LOCK_FAILED',
			`${key} in ${target.description} could not be locked or tagged as it should: ${messageOf(error)}`,
			{
				hint: 'Check that the bucket was created with object lock, and that the key has s3:PutObjectRetention, s3:PutObjectLegalHold and s3:PutObjectTagging',
				cause: error,
			},
		);
	}
}
