import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';

import { LifeboatError } from '../../errors';
import { baseName, isOlder } from '../keys';

import { hasStatus, mayPass, StatusError } from './errors';
import { repeat, send, sendOnce } from './exchange';
import { parentOf } from './folders';
import { temporaryName } from './names';
import { lookUp } from './propfind';
import type { WebDavTarget } from './target';

/** Milliseconds that another upload gets for making its object appear. */
const patience = 60_000;

/** Milliseconds after which a claim is that of a dead process. By the clock of the server on both sides. */
const lifetime = 3_600_000;

/** How often the server may refuse a claim that nobody holds before it means it. */
const REFUSALS = 5;

/** Of the time a server gets for an answer, after which another run would have renamed its object and removed its claim. */
const SETTLED_AFTER = 1 / 4;

export interface ClaimOptions {
	/** The time on the server. */
	now: Date;
	/** Throws when the wait is for nothing, because the path has been taken. */
	isFutile: () => Promise<void>;
	signal: AbortSignal;
}

/**
 * Runs something that no other upload of ours to the same path runs meanwhile: a folder that is made beside it tells that somebody
 * does. Of several who make the same folder exactly one succeeds, on every server. WebDAV's own means don't suffice: `Overwrite: F`
 * is a look before the renaming, with time between; LOCK leaves an empty file under the name, and Nextcloud only plays it.
 *
 * @throws LifeboatError `LOCKED` if another's claim doesn't go away.
 */
export async function withClaim<Result>(
	target: WebDavTarget,
	path: string,
	{ now, isFutile, signal }: ClaimOptions,
	run: () => Promise<Result>,
): Promise<Result> {
	const hash = createHash('sha256').update(baseName(path)).digest('hex').slice(0, 32);
	const claim = `${parentOf(path)}${temporaryName('claim', hash)}/`;
	let refusals = 0;
	for (const deadline = performance.now() + patience; ; await pause(signal)) {
		signal.throwIfAborted();
		const refusal = await acquire(target, claim, isFutile, signal);
		if (refusal === undefined) break;
		const holder = await lookUp(target, claim.slice(0, -1), signal);
		// 403 is also Apache's answer when another was faster by a moment.
		if (!holder && hasStatus(refusal, 403) && (refusals += 1) > REFUSALS) throw refusal;
		await isFutile();
		if (holder && isOlder(holder.modifiedAt, new Date(now.getTime() - lifetime)))
			await release(target, claim);
		else if (performance.now() > deadline) {
			throw new LifeboatError(
				'LOCKED',
				`Another run is completing ${path} in ${target.description}, or was killed while it did`,
				{ hint: `If no other run is active, delete the folder ${claim} there and run the node again` },
			);
		}
	}
	try {
		signal.throwIfAborted();
		return await run();
	} finally {
		// What happened to the object counts. A claim left behind dies of age, and goes with the unfinished uploads.
		await release(target, claim).catch(() => {});
	}
}

/** Why the claim could not be made; nothing if it was. */
async function acquire(
	target: WebDavTarget,
	claim: string,
	isFutile: () => Promise<void>,
	signal: AbortSignal,
): Promise<StatusError | undefined> {
	let unsure = false;
	try {
		await repeat(signal, async () => {
			try {
				// Not aborted: a claim that was made after all would hold up others.
				(await sendOnce(target, 'MKCOL', claim, {})).resume();
			} catch (error) {
				unsure ||= mayPass(error);
				throw error;
			}
		});
		return undefined;
	} catch (error) {
		if (!(error instanceof StatusError) || !hasStatus(error, 403, 405)) throw error;
		return unsure && (await isOurs(target, claim, isFutile, signal)) ? undefined : error;
	}
}

/**
 * Whether a claim is that which was made by a request whose answer was lost. A folder does not tell who made it; but what another
 * run has made it also removes, with all that is in it, as soon as it is done. So a mark is put into it and watched for longer than that takes.
 */
async function isOurs(
	target: WebDavTarget,
	claim: string,
	isFutile: () => Promise<void>,
	signal: AbortSignal,
): Promise<boolean> {
	const mark = `${claim}${temporaryName('mark')}/`;
	const exists = async () => (await lookUp(target, mark.slice(0, -1), signal)) !== undefined;
	try {
		(await send(target, 'MKCOL', mark, { signal })).resume();
	} catch (error) {
		// 405: the mark is there since an attempt whose answer was lost, too. 403, 409: the claim is gone.
		if (!hasStatus(error, 403, 405, 409)) throw error;
	}
	for (const deadline = performance.now() + target.timeout * SETTLED_AFTER; ; await pause(signal)) {
		if (!(await exists())) return false;
		if (performance.now() > deadline) return true;
		await isFutile();
	}
}

async function release(target: WebDavTarget, claim: string): Promise<void> {
	(await send(target, 'DELETE', claim, {}, [404])).resume();
}

const pause = (signal: AbortSignal) => sleep(20 + Math.random() * 80, undefined, { signal });
