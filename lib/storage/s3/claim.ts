import { DeleteObjectCommand, ListObjectsV2Command, PutObjectCommand } from '@aws-sdk/client-s3';
import { createHash, randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';

import { LifeboatError } from '../../errors';
import { TEMPORARY_PREFIX } from '../../streams/atomic-file';
import { baseName, compareKeys } from '../keys';

import type { S3Target } from './client';
import { writeParams } from './write-params';

/** Milliseconds that another upload gets for making its object appear. */
const patience = 60_000;

/** Milliseconds after which a claim is that of a dead process. By the clock of the service on both sides. */
const lifetime = 3_600_000;

/**
 * Runs something that no other upload of ours to the same key runs meanwhile, on services that don't offer that themselves (no
 * conditional put, or none when an upload is completed).
 *
 * Everyone puts a claim object of their own beside the key and goes on only when a list, taken after that, shows no other
 * claim: of two, at least one sees the other. Where more than one is there, all but the first in order withdraw and try
 * again. It needs lists that show at once what was put, as S3's do.
 *
 * @param isFutile throws when the wait is for nothing, because the key has been taken.
 * @throws LifeboatError `LOCKED` if another's claim doesn't go away.
 */
export async function withClaim<Result>(
	target: S3Target,
	key: string,
	signal: AbortSignal,
	isFutile: () => Promise<void>,
	run: () => Promise<Result>,
): Promise<Result> {
	const name = baseName(key);
	const hash = createHash('sha256').update(name).digest('hex').slice(0, 32);
	const prefix = `${key.slice(0, key.length - name.length)}${TEMPORARY_PREFIX}${hash}.claim-`;
	const mine = `${prefix}${randomUUID()}`;
	try {
		await acquire(target, prefix, mine, key, signal, isFutile);
		return await run();
	} finally {
		// What happened to the object counts. A claim left behind dies of age, and goes with the unfinished uploads.
		await remove(target, mine).catch(() => {});
	}
}

async function acquire(
	target: S3Target,
	prefix: string,
	mine: string,
	key: string,
	signal: AbortSignal,
	isFutile: () => Promise<void>,
): Promise<void> {
	let claimed = false;
	let others: string[] = [];
	for (const deadline = performance.now() + patience; ; await pause(signal)) {
		// Who has withdrawn only looks on, so as not to hold up those before.
		if (others.length === 0) {
			await put(target, mine);
			claimed = true;
		}
		others = await livingClaims(target, prefix, claimed ? mine : undefined, signal);
		if (claimed && others.length === 0) return;
		await isFutile();
		if (others.length > 0 && performance.now() > deadline) {
			throw new LifeboatError(
				'LOCKED',
				`Another run is completing ${key} in ${target.description}, or was killed while it did`,
				{ hint: `If no other run is active, delete the object ${others[0]} and run the node again` },
			);
		}
		if (claimed && others.some((other) => compareKeys(other, mine) < 0)) {
			await remove(target, mine);
			claimed = false;
		}
	}
}

/** Claims of other uploads. Those of dead processes are removed; only the time of one's own claim tells which are. */
async function livingClaims(
	target: S3Target,
	prefix: string,
	mine: string | undefined,
	signal: AbortSignal,
): Promise<string[]> {
	const { Contents = [] } = await target.client.send(
		new ListObjectsV2Command({ Bucket: target.bucket, Prefix: prefix }),
		{ abortSignal: signal },
	);
	const now = Contents.find(({ Key }) => Key === mine)?.LastModified;
	if (mine !== undefined && !now) {
		throw new LifeboatError('STORAGE_FAILED', `${target.description} does not list what was just put there`, {
			hint: 'The service delays its lists, so that two uploads at once can not be kept apart. Run the node again',
		});
	}
	const living: string[] = [];
	for (const { Key, LastModified } of Contents) {
		if (Key === undefined || Key === mine) continue;
		if (now && LastModified && now.getTime() - LastModified.getTime() > lifetime) await remove(target, Key);
		else living.push(Key);
	}
	return living;
}

const pause = (signal: AbortSignal) => sleep(50 + Math.random() * 200, undefined, { signal });

async function put(target: S3Target, Key: string): Promise<void> {
	await target.client.send(
		new PutObjectCommand({
			...{ Bucket: target.bucket, Key, Body: Buffer.alloc(0), ContentLength: 0 },
			...writeParams(target.write, 'temporary'),
		}),
	);
}

async function remove(target: S3Target, Key: string): Promise<void> {
	await target.client.send(new DeleteObjectCommand({ Bucket: target.bucket, Key }));
}
