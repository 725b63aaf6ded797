import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';

import { LifeboatError } from '../../errors';
import { TEMPORARY_PREFIX } from '../../streams/atomic-file';
import { asideName } from '../keys';
import { alreadyExists } from '../taken';

import type { FtpConnection } from './connection';
import { isConnectionError, replyOf } from './errors';
import type { FtpPool } from './pool';

/** Milliseconds that another writer gets for one rename. */
const patience = 10_000;

/** A whole file under its temporary name, and where it belongs. */
export interface Publication {
	pool: FtpPool;
	temporary: string;
	path: string;
	/** For messages. */
	key: string;
	description: string;
}

/** Gives a file its final name in place of what has it; where the server's rename doesn't replace, the old one steps aside first. */
export async function publishReplacing({ pool, temporary, path }: Publication): Promise<void> {
	const aside = asideName(temporary);
	let asked = 0;
	await pool.run(undefined, async (connection) => {
		asked += 1;
		// Only after a lost answer a temporary name that is gone has become the final one.
		if (asked === 1 || (await connection.look(temporary))) {
			try {
				await connection.rename(temporary, path);
				if (asked === 1) return;
				// The old one may have stepped aside before the answer was lost.
				return await connection.remove(aside);
			} catch (error) {
				if (isConnectionError(error) || !(await connection.look(path))) throw error;
			}
			await connection.rename(path, aside);
			try {
				await connection.rename(temporary, path);
			} catch (error) {
				await connection.rename(aside, path);
				throw error;
			}
		}
		await connection.remove(aside);
	});
}

/**
 * Gives a file its final name, which nothing has so far. FTP has no rename that refuses to replace, but two can't make the same
 * folder: whoever makes the one that stands for the claim may look whether the name is free, and rename. It keeps runs of ours apart.
 *
 * @throws LifeboatError `ALREADY_EXISTS`, `LOCKED`.
 */
export async function publishNew(publication: Publication): Promise<void> {
	const { pool, temporary, path, key, description } = publication;
	const slash = path.lastIndexOf('/') + 1;
	// The same claim for names that a file system may take for one.
	const folded = path.slice(slash).normalize('NFC').toLowerCase();
	const hash = createHash('sha256').update(folded).digest('hex').slice(0, 32);
	const claim = `${path.slice(0, slash)}${TEMPORARY_PREFIX}${hash}.claim`;
	await pool.once(undefined, (connection) => takeClaim(connection, claim, publication));
	try {
		await pool.once(undefined, async (connection) => {
			if (await connection.look(path)) throw alreadyExists(key, description);
			await connection.rename(temporary, path);
		});
	} catch (error) {
		if (!isConnectionError(error)) throw error;
		// Nobody else could take the name under our claim: if the temporary one is gone, the rename was done.
		if (await pool.run(undefined, (connection) => connection.look(temporary))) throw error;
	} finally {
		await pool.run(undefined, (connection) => connection.removeFolder(claim)).catch(() => {});
	}
}

async function takeClaim(
	connection: FtpConnection,
	claim: string,
	{ key, description }: Publication,
): Promise<void> {
	for (const deadline = performance.now() + patience; ; await sleep(20 + Math.random() * 80)) {
		try {
			await connection.makeFolder(claim);
			return;
		} catch (error) {
			if (replyOf(error) === undefined || isConnectionError(error)) throw error;
			if (performance.now() < deadline) continue;
			if (!(await connection.enter(claim))) throw error;
			throw new LifeboatError(
				'LOCKED',
				`Another run is completing ${key} in ${description}, or was killed while it did`,
				{
					hint: `If no other run is active, remove the folder ${claim} on the server and run the node again`,
					cause: error,
				},
			);
		}
	}
}
