import { GetObjectCommand, ListObjectsV2Command, PutObjectCommand } from '@aws-sdk/client-s3';
import { createHash, randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';

import { LifeboatError } from '../../errors';
import { TEMPORARY_PREFIX } from '../../streams/atomic-file';
import { baseName, compareKeys } from '../keys';

import { isDead, parseOwner, self } from '../owner';

import type { S3Target } from './client';
import { isMissing } from './errors';
import { removeTemporary } from './remove';
import { writeParams } from './write-params';

/** Of a claim's life, after which it is renewed; and after which whoever could not renew it gives up. */
const RENEW_AFTER = 1 / 6;
const GIVE_UP_AFTER = 2 / 3;

/**
 * Runs something that no other upload of ours to the same key runs meanwhile, on services that don't offer that themselves (no
 * conditional put, or none when an upload is completed).
 *
 * Everyone puts a claim object of their own beside the key and goes on only when a list, taken after that, shows no other
 * claim: of two, at least one sees the other. Where more than one is there, all but the first in order withdraw and try
 * again. It needs lists that show at once what was put, as S3's do.
 *
 * A claim is renewed as long as its process lives. One that isn't is that of a dead process: at once where this can be seen
 * (same machine), else once nothing happened to it for its life, by what is watched here or by the times of the service.
 *
 * @param isFutile throws when the wait is for nothing, because the key has been taken.
 * @param run gets a signal that aborts when the claim could not be renewed, or the run is to end.
 * @throws LifeboatError `LOCKED` if another's claim doesn't go away.
 */
export async function withClaim<Result>(
	target: S3Target,
	key: string,
	signal: AbortSignal,
	isFutile: () => Promise<void>,
	run: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
	const name = baseName(key);
	const hash = createHash('sha256').update(name).digest('hex').slice(0, 32);
	const prefix = `${key.slice(0, key.length - name.length)}${TEMPORARY_PREFIX}${hash}.claim-`;
	const mine = `${prefix}${randomUUID()}`;
	try {
		await acquire(target, prefix, mine, key, signal, isFutile);
		return await renewing(target, mine, signal, run);
	} finally {
		// What happened to the object counts. A claim left behind dies, and goes with the unfinished uploads.
		await removeTemporary(target, mine).catch(() => {});
	}
}

async function renewing<Result>(
	target: S3Target,
	mine: string,
	signal: AbortSignal,
	run: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
	const end = new AbortController();
	const lost = new AbortController();
	const { claimLifetime: life } = target;
	const renew = async () => {
		let last = performance.now();
		while (!end.signal.aborted) {
			try {
				await sleep(life * RENEW_AFTER, undefined, { signal: end.signal });
				await put(target, mine);
				last = performance.now();
			} catch (error) {
				if (end.signal.aborted) return;
				if (performance.now() - last > life * GIVE_UP_AFTER) lost.abort(error);
			}
		}
	};
	const renewal = renew();
	try {
		return await run(AbortSignal.any([signal, lost.signal]));
	} catch (error) {
		throw lost.signal.aborted ? lost.signal.reason : error;
	} finally {
		end.abort();
		// A renewal that is under way would bring the claim back after it was removed.
		await renewal;
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
	const watched: Watched = new Map();
	for (const deadline = performance.now() + 2 * target.claimLifetime; ; await pause(signal)) {
		// Who has withdrawn only looks on, so as not to hold up those before.
		if (others.length === 0) {
			await put(target, mine);
			claimed = true;
		}
		others = await livingClaims(target, prefix, claimed ? mine : undefined, watched, signal);
		if (claimed && others.length === 0) return;
		await isFutile();
		if (others.length > 0 && performance.now() > deadline) {
			throw new LifeboatError('LOCKED', `Another run is completing ${key} in ${target.description}`, {
				hint: 'It is alive: wait until it is done, then run the node again',
			});
		}
		if (claimed && others.some((other) => compareKeys(other, mine) < 0)) {
			await removeTemporary(target, mine);
			claimed = false;
		}
	}
}

/** When a claim was last seen to change, by this machine's clock. */
type Watched = Map<string, { state: string; since: number }>;

/** Claims of other uploads. Those of dead processes are removed. */
async function livingClaims(
	target: S3Target,
	prefix: string,
	mine: string | undefined,
	watched: Watched,
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
	for (const { Key, LastModified, ETag = '' } of Contents) {
		if (Key === undefined || Key === mine) continue;
		const first = !watched.has(Key);
		const state = `${LastModified?.getTime()} ${ETag}`;
		if (watched.get(Key)?.state !== state) watched.set(Key, { state, since: performance.now() });
		const still = performance.now() - watched.get(Key)!.since > target.claimLifetime;
		// The service tells whole seconds.
		const old = now && LastModified && +now - +LastModified > target.claimLifetime + 1000;
		if (still || old || (first && (await belongsToTheDead(target, Key)))) await removeTemporary(target, Key);
		else living.push(Key);
	}
	return living;
}

/** Whether the process that put a claim ran on this machine and has ended. */
async function belongsToTheDead(target: S3Target, Key: string): Promise<boolean> {
	try {
		const { Body } = await target.client.send(new GetObjectCommand({ Bucket: target.bucket, Key }));
		return isDead(parseOwner(JSON.parse(await Body!.transformToString())));
	} catch (error) {
		// It is gone, or not one that says whose it is: time will tell.
		if (isMissing(error) || error instanceof SyntaxError) return false;
		throw error;
	}
}

const pause = (signal: AbortSignal) => sleep(50 + Math.random() * 200, undefined, { signal });

async function put(target: S3Target, Key: string): Promise<void> {
	// Each differs, so that its ETag does.
	const Body = Buffer.from(JSON.stringify({ ...self, at: Date.now() }));
	await target.client.send(
		new PutObjectCommand({
			...{ Bucket: target.bucket, Key, Body, ContentLength: Body.length },
			...writeParams(target.write, 'temporary'),
		}),
	);
}
