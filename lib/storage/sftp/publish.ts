import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';

import { LifeboatError } from '../../errors';
import { TEMPORARY_PREFIX } from '../../streams/atomic-file';
import { asideName } from '../keys';
import { alreadyExists } from '../taken';

import { isConnectionError, Status, statusOf } from './errors';
import type { SftpSession } from './session';
import type { SftpSessions } from './sessions';

/** Milliseconds that another writer gets for one rename. */
const patience = 10_000;

/** A whole file under its temporary name, and where it belongs. */
export interface Publication {
	sessions: SftpSessions;
	temporary: string;
	path: string;
	/** For messages. */
	key: string;
	description: string;
}

/**
 * Gives a file its final name in place of what has it. In one step where the server has posix-rename@openssh.com or its rename
 * replaces; elsewhere the old one steps aside first, and comes back if that fails.
 */
export async function publishReplacing({ sessions, temporary, path }: Publication): Promise<void> {
	const aside = asideName(temporary);
	let asked = 0;
	await sessions.run(undefined, async (session) => {
		asked += 1;
		// Only after a lost answer a temporary name that is gone has become the final one.
		if (asked > 1 && !(await session.lstat(temporary))) {
			await session.remove(aside);
			return;
		}
		if (await session.posixRename(temporary, path)) return;
		try {
			await session.rename(temporary, path);
		} catch (error) {
			if (isConnectionError(error)) throw error;
			await session.rename(path, aside);
			try {
				await session.rename(temporary, path);
			} catch (failure) {
				await session.rename(aside, path);
				throw failure;
			}
		}
		await session.remove(aside);
	});
}

/**
 * Gives a file its final name, which nothing has so far, also where others want the same at the same moment: by a hard link, which
 * never replaces, or where there are none under a claim that only one can hold.
 *
 * @throws LifeboatError `ALREADY_EXISTS`, `LOCKED`.
 */
export async function publishNew(publication: Publication): Promise<void> {
	const { sessions, temporary, path, key, description } = publication;
	let asked = 0;
	let done = false;
	const linked = await sessions.run(undefined, async (session) => {
		asked += 1;
		try {
			if (!done && !(await session.link(temporary, path))) return false;
		} catch (error) {
			if (statusOf(error) === undefined) throw error;
			if (await session.lstat(path)) {
				// Only after a lost answer it may be our own.
				if (asked === 1 || !(await isSameFile(session, temporary, path)))
					throw alreadyExists(key, description, error);
			} else if (!withoutLinks.has(statusOf(error)!)) throw error;
			else return false;
		}
		done = true;
		await session.remove(temporary);
		return true;
	});
	if (!linked) await publishUnderClaim(publication);
}

/** What servers answer where the file system has no hard links, or the user may not make any. */
const withoutLinks = new Set<number>([Status.FAILURE, Status.PERMISSION_DENIED, Status.BAD_MESSAGE]);

/** Whether two names are one file: SFTP shows no inode, but a time set under one name shows under the other. */
async function isSameFile(session: SftpSession, one: string, other: string): Promise<boolean> {
	const [first, second] = [await session.lstat(one), await session.lstat(other)];
	if (!first || !second || first.size !== second.size || first.mtime !== second.mtime) return false;
	await session.setTime(one, first.mtime - 1 - Math.floor(Math.random() * 1_000_000_000));
	const probe = (await session.lstat(one))?.mtime;
	const same = probe !== first.mtime && probe === (await session.lstat(other))?.mtime;
	await session.setTime(one, first.mtime);
	return same;
}

/** Whoever creates the claim beside the target may look whether the target is free, and rename. It keeps runs of ours apart. */
async function publishUnderClaim(publication: Publication): Promise<void> {
	const { sessions, temporary, path, key, description } = publication;
	const slash = path.lastIndexOf('/') + 1;
	// The same claim for names that a file system may take for one.
	const folded = path.slice(slash).normalize('NFC').toLowerCase();
	const hash = createHash('sha256').update(folded).digest('hex').slice(0, 32);
	const claim = `${path.slice(0, slash)}${TEMPORARY_PREFIX}${hash}.claim`;
	const session = await takeClaim(publication, claim);
	try {
		if (await session.lstat(path)) throw alreadyExists(key, description);
		await session.rename(temporary, path);
	} catch (error) {
		if (!isConnectionError(error)) throw error;
		// Nobody else could take the name under our claim: if the temporary one is gone, the rename was done.
		const done = await sessions.run(undefined, async (next) => !(await next.lstat(temporary)));
		if (!done) throw error;
	} finally {
		await sessions.run(undefined, (next) => next.remove(claim)).catch(() => {});
	}
}

async function takeClaim({ sessions, key, description }: Publication, claim: string): Promise<SftpSession> {
	for (const deadline = performance.now() + patience; ; await sleep(50)) {
		const session = await sessions.get();
		try {
			await session.close(await session.open(claim, 'wx'));
			return session;
		} catch (error) {
			if (statusOf(error) === undefined || !(await session.lstat(claim))) {
				// It may just have been given back.
				if (statusOf(error) === Status.FAILURE && performance.now() < deadline) continue;
				throw error;
			}
			if (performance.now() < deadline) continue;
			throw new LifeboatError(
				'LOCKED',
				`Another run is completing ${key} in ${description}, or was killed while it did`,
				{
					hint: `If no other run is active, remove ${claim} on the server and run the node again`,
					cause: error,
				},
			);
		}
	}
}
