import { DeleteObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';

import { LifeboatError } from '../../errors';
import { TEMPORARY_PREFIX } from '../../streams/atomic-file';
import { baseName } from '../keys';

import type { S3Target } from './client';
import { hasStatus, isNotImplemented } from './errors';

/** Milliseconds that another upload gets for completing. */
const patience = 15_000;

/**
 * Runs something that no other upload to the same key runs meanwhile. Services that ignore `If-None-Match` when an upload is
 * completed (Ceph 16) still heed it when a small object is put: who puts the claim object first may look whether the key is
 * free, and complete. Where there is no conditional put at all, nothing keeps two uploads apart in that moment.
 */
export async function withClaim(
	target: S3Target,
	key: string,
	signal: AbortSignal,
	run: () => Promise<void>,
): Promise<void> {
	const claim = claimKey(key);
	const taken = await takeClaim(target, claim, key, signal);
	try {
		await run();
	} finally {
		if (taken) await target.client.send(new DeleteObjectCommand({ Bucket: target.bucket, Key: claim }));
	}
}

async function takeClaim(
	target: S3Target,
	claim: string,
	key: string,
	signal: AbortSignal,
): Promise<boolean> {
	for (
		const deadline = Date.now() + patience;
		;
		await sleep(100 + Math.random() * 200, undefined, { signal })
	) {
		try {
			await target.client.send(
				new PutObjectCommand({
					...{ Bucket: target.bucket, Key: claim, Body: Buffer.alloc(0), ContentLength: 0 },
					IfNoneMatch: '*',
				}),
			);
			return true;
		} catch (error) {
			if (isNotImplemented(error)) return false;
			if (!hasStatus(error, 412) && !hasStatus(error, 409)) throw error;
			if (Date.now() < deadline) continue;
			throw new LifeboatError(
				'LOCKED',
				`Another run is completing ${key} in ${target.description}, or was killed while it did`,
				{
					hint: `If no other run is active, delete the object ${claim} and run the node again`,
					cause: error,
				},
			);
		}
	}
}

function claimKey(key: string): string {
	const name = baseName(key);
	const hash = createHash('sha256').update(name).digest('hex').slice(0, 32);
	return `${key.slice(0, key.length - name.length)}${TEMPORARY_PREFIX}${hash}.claim`;
}
