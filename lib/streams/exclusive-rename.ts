import { createHash } from 'node:crypto';
import { lstat, open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { codeOf, LifeboatError } from '../errors';

/** Milliseconds that another writer gets for one rename. */
const patience = 10_000;

/**
 * Renames a file unless the target exists, on file systems without hard links, where nothing does that in one step: whoever
 * creates the claim file beside the target may look whether the target is free, and rename. Only writers that do the same are kept
 * apart.
 *
 * @param claimPrefix start of the claim file's name.
 * @throws the system's EEXIST if the target exists; LifeboatError `LOCKED` if another's claim doesn't go away.
 */
export async function renameExclusively(from: string, to: string, claimPrefix: string): Promise<void> {
	// The same claim for names that a file system may take for one.
	const folded = basename(to).normalize('NFC').toLowerCase();
	const name = createHash('sha256').update(folded).digest('hex').slice(0, 32);
	const claim = join(dirname(to), `${claimPrefix}${name}.claim`);
	await take(claim, to);
	try {
		if (await exists(to)) {
			throw Object.assign(new Error(`${to} exists`), { code: 'EEXIST', syscall: 'rename' });
		}
		await rename(from, to);
	} finally {
		await rm(claim, { force: true });
	}
}

async function take(claim: string, to: string): Promise<void> {
	for (const deadline = Date.now() + patience; ; await sleep(20)) {
		try {
			await (await open(claim, 'wx', 0o600)).close();
			return;
		} catch (error) {
			if (codeOf(error) !== 'EEXIST') throw error;
			if (Date.now() < deadline) continue;
			throw new LifeboatError('LOCKED', `Another run is writing ${to}, or was killed while it did`, {
				hint: `If no other run is active, remove ${claim} and run the node again`,
				cause: error,
			});
		}
	}
}

async function exists(path: string): Promise<boolean> {
	try {
		await lstat(path);
		return true;
	} catch (error) {
		if (codeOf(error) === 'ENOENT') return false;
		throw error;
	}
}
