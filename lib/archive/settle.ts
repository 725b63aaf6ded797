import type { Dirent, Stats } from 'node:fs';
import { link, lstat, mkdir, opendir, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { codeOf, LifeboatError } from '../errors';
import { systemMessage, writeError } from '../streams/atomic-file';

import type { ExtractOptions } from './extract';
import type { ExtractLog } from './extract-log';
import { pathIn } from './safe-name';
import { Spool } from './spool';
import { lstatIfThere } from './staged-tree';

/** One rename: a file, a link, or a whole folder where there was none. */
interface Move {
	name: string;
	replaces: boolean;
}

/** Where the tree that was unpacked lies within the working folder. */
export function stagedFiles(work: string): string {
	return join(work, 'files');
}

function setAside(work: string): string {
	return join(work, 'replaced');
}

/**
 * Moves the unpacked tree to its place. All conflicts are found before the first move; a failure or an abort in the middle is undone, so
 * that the target is as it was.
 *
 * @throws LifeboatError `ALREADY_EXISTS`, `TARGET_CONFLICT`, `WRITE_FAILED`, or `ROLLBACK_FAILED` if undoing failed, too.
 */
export async function moveIntoPlace(
	work: string,
	target: string,
	options: ExtractOptions,
	log: ExtractLog,
): Promise<void> {
	const moves = await Spool.create<Move>(join(work, 'moves'));
	try {
		await planMoves(work, target, '', options.ifExists ?? 'stop', moves, log);
		let done = 0;
		try {
			for await (const move of moves.items()) {
				options.signal?.throwIfAborted();
				await carryOut(move, work, target);
				done += 1;
			}
		} catch (error) {
			await undo(moves, done, work, target, error);
			throw error;
		}
	} finally {
		await moves.close();
	}
}

async function planMoves(
	work: string,
	target: string,
	folder: string,
	ifExists: NonNullable<ExtractOptions['ifExists']>,
	moves: Spool<Move>,
	log: ExtractLog,
): Promise<void> {
	for await (const staged of await opendir(pathIn(stagedFiles(work), folder))) {
		const name = folder === '' ? staged.name : `${folder}/${staged.name}`;
		const path = pathIn(target, name);
		const existing = await lstatIfThere(path);
		if (!existing) await moves.add({ name, replaces: false });
		else if (ifExists === 'stop') {
			throw new LifeboatError('ALREADY_EXISTS', `${path} was put into the target folder during the restore`, {
				hint: 'Nothing was changed. Make sure that nothing else writes to that folder, then restore again',
			});
		} else if (staged.isDirectory() || existing.isDirectory()) {
			if (!staged.isDirectory() || !existing.isDirectory()) throw conflict(path, staged, existing);
			await planMoves(work, target, name, ifExists, moves, log);
		} else if (ifExists === 'replace') await moves.add({ name, replaces: true });
		else {
			log.skip(name, 'there is one already');
			log.result[staged.isSymbolicLink() ? 'links' : 'files'] -= 1;
		}
	}
}

async function carryOut({ name, replaces }: Move, work: string, target: string): Promise<void> {
	const path = pathIn(target, name);
	const aside = pathIn(setAside(work), name);
	try {
		if (replaces) {
			await mkdir(dirname(aside), { recursive: true, mode: 0o700 });
			await keepAside(path, aside);
		}
		try {
			await rename(pathIn(stagedFiles(work), name), path);
		} catch (error) {
			if (replaces) await rename(aside, path);
			throw error;
		}
	} catch (error) {
		throw writeError(error, path);
	}
}

/** A second name, where the file system has such, leaves no moment in which there is no file under the first. */
async function keepAside(path: string, aside: string): Promise<void> {
	if ((await lstat(path)).isFile()) {
		try {
			return await link(path, aside);
		} catch (error) {
			if (!['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK', 'EXDEV'].includes(codeOf(error) ?? ''))
				throw error;
		}
	}
	await rename(path, aside);
}

async function undo(
	moves: Spool<Move>,
	done: number,
	work: string,
	target: string,
	reason: unknown,
): Promise<void> {
	let index = 0;
	try {
		for await (const { name, replaces } of moves.items()) {
			if (index === done) return;
			index += 1;
			await rename(pathIn(target, name), pathIn(stagedFiles(work), name));
			if (replaces) await rename(pathIn(setAside(work), name), pathIn(target, name));
		}
	} catch (error) {
		throw new LifeboatError(
			'ROLLBACK_FAILED',
			`The restore into ${target} failed half way (${systemMessage(reason)}), and undoing it failed, too: ${systemMessage(error)}`,
			{
				hint: `The files that were replaced are in ${setAside(work)}, those that were not yet moved in ${stagedFiles(work)}. Move them by hand`,
				cause: new AggregateError([reason, error]),
			},
		);
	}
}

function conflict(path: string, staged: Dirent, existing: Stats): LifeboatError {
	return new LifeboatError(
		'TARGET_CONFLICT',
		`${path} is ${kindOf(existing)}, but ${kindOf(staged)} in the backup`,
		{
			hint: 'Nothing was changed. Move it out of the way, or restore into another folder',
		},
	);
}

function kindOf(entry: Dirent | Stats): string {
	if (entry.isDirectory()) return 'a folder';
	return entry.isSymbolicLink() ? 'a link' : 'a file';
}
