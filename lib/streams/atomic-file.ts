import { randomBytes } from 'node:crypto';
import type { Stats } from 'node:fs';
import { link, lstat, open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { getSystemErrorMessage } from 'node:util';

import { codeOf, LifeboatError, messageOf } from '../errors';

import { renameExclusively } from './exclusive-rename';
import { FileWriter } from './file-writer';

/** How a file is written. */
export interface AtomicWriteOptions {
	signal?: AbortSignal;
	/** Permission bits; 0600 unless given. */
	mode?: number;
	/** What to do when the path exists: replace it (default) or fail with `ALREADY_EXISTS`. */
	ifExists?: 'replace' | 'fail';
}

/** The start of the name of every temporary file of ours, so that leftovers of a crash can be told. */
export const TEMPORARY_PREFIX = '.lifeboat-';

/**
 * Writes a file so that its final name only ever stands for whole content: temporary name in the same folder, fsync,
 * rename, fsync of the folder. A failure or an abort leaves nothing behind. The folder must exist.
 *
 * @returns what the system says of the very file that was written, whoever may have replaced it since.
 * @throws LifeboatError `DISK_FULL`, `ALREADY_EXISTS` or `WRITE_FAILED`; what the source throws passes unchanged.
 */
export async function writeFileAtomically(
	path: string,
	source: Readable,
	{ signal, mode = 0o600, ifExists = 'replace' }: AtomicWriteOptions = {},
): Promise<Stats> {
	const temporary = join(dirname(path), `${TEMPORARY_PREFIX}${randomBytes(9).toString('hex')}.part`);
	let stats: Stats;
	try {
		await pipeline(source, new FileWriter(temporary, { mode, from: source, sync: true }), { signal });
		stats = await lstat(temporary);
		if (ifExists === 'fail') await publishNew(temporary, path);
		else await rename(temporary, path);
	} catch (error) {
		source.destroy();
		await rm(temporary, { force: true });
		throw writeError(error, path);
	}
	await syncFolder(dirname(path)).catch((error: unknown) => {
		throw writeError(error, path);
	});
	return stats;
}

/** A hard link never replaces what is there, and so decides between two writers. Where there are none, a claim does. */
async function publishNew(temporary: string, path: string): Promise<void> {
	try {
		await link(temporary, path);
	} catch (error) {
		if (!withoutHardLinks.has(codeOf(error) ?? '')) throw error;
		await renameExclusively(temporary, path, TEMPORARY_PREFIX);
		return;
	}
	await rm(temporary, { force: true });
}

/** What file systems without hard links (FAT, exFAT, many network and FUSE mounts) answer. */
const withoutHardLinks = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK', 'EINVAL', 'EACCES']);

/** Makes a rename in a folder durable. File systems that can't (some network mounts) answer EINVAL: nothing to do there. */
export async function syncFolder(folder: string): Promise<void> {
	const handle = await open(folder, 'r');
	try {
		await handle.sync();
	} catch (error) {
		if (!['EINVAL', 'ENOTSUP', 'EPERM'].includes(codeOf(error) ?? '')) throw error;
	} finally {
		await handle.close();
	}
}

/** Turns what writing a file may throw into an error an operator understands; errors of the source stay as they are. */
export function writeError(error: unknown, path: string): unknown {
	const isSystemError = error instanceof Error && 'syscall' in error;
	if (!isSystemError) return error;
	const code = codeOf(error);
	if (code === 'ENOSPC' || code === 'EDQUOT') {
		return new LifeboatError('DISK_FULL', `No space left while writing ${path}`, {
			hint: 'Free space on that disk or choose a folder on another one, then run the node again. Nothing incomplete was kept',
			cause: error,
		});
	}
	if (code === 'EFBIG') {
		return new LifeboatError('FILE_TOO_LARGE', `${path} became larger than a file may be there`, {
			hint: 'The file system (FAT takes 4 GB) or a limit of the process (ulimit -f) ends it. Choose another folder. Nothing incomplete was kept',
			cause: error,
		});
	}
	if (code === 'EEXIST') {
		return new LifeboatError('ALREADY_EXISTS', `${path} already exists`, {
			hint: 'Choose another name, or allow the existing one to be replaced',
			cause: error,
		});
	}
	return new LifeboatError('WRITE_FAILED', `${path} could not be written: ${systemMessage(error)}`, {
		hint: 'Check that the folder exists and that the user n8n runs as may write to it',
		cause: error,
	});
}

/** A system error in words, without its code and the system call. */
export function systemMessage(error: unknown): string {
	const errno = error instanceof Error && 'errno' in error ? error.errno : undefined;
	return typeof errno === 'number' ? getSystemErrorMessage(errno) : messageOf(error);
}
