import { randomBytes } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { link, open, rename, rm, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

import { codeOf, LifeboatError, messageOf } from '../errors';

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
 * @throws LifeboatError `DISK_FULL`, `ALREADY_EXISTS` or `WRITE_FAILED`; what the source throws passes unchanged.
 */
export async function writeFileAtomically(
	path: string,
	source: Readable,
	{ signal, mode = 0o600, ifExists = 'replace' }: AtomicWriteOptions = {},
): Promise<void> {
	const temporary = join(
		dirname(path),
		`${TEMPORARY_PREFIX}${basename(path).slice(0, 150)}.${randomBytes(6).toString('hex')}`,
	);
	try {
		await pipeline(source, createWriteStream(temporary, { flags: 'wx', mode, flush: true }), { signal });
		if (ifExists === 'fail') {
			await link(temporary, path);
			await unlink(temporary);
		} else await rename(temporary, path);
		await syncFolder(dirname(path));
	} catch (error) {
		source.destroy();
		await rm(temporary, { force: true });
		throw writeError(error, path);
	}
}

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
	if (code === 'EEXIST') {
		return new LifeboatError('ALREADY_EXISTS', `${path} already exists`, {
			hint: 'Choose another name, or allow the existing one to be replaced',
			cause: error,
		});
	}
	return new LifeboatError('WRITE_FAILED', `${path} could not be written: ${messageOf(error)}`, {
		hint: 'Check that the folder exists and that the user n8n runs as may write to it',
		cause: error,
	});
}
