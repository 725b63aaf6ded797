import { randomBytes } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

import { abortable } from '../../../streams/chain';
import { syncFolder, TEMPORARY_PREFIX, writeError } from '../../../streams/atomic-file';

import { encodeEntries, encodeHeader } from './toc-writer';
import type { ArchiveToc } from './types';
import type { DataSource, WriteArchiveOptions } from './written-types';
import { archiveBytes, ArchiveStream, planArchive } from './writer';

/**
 * Writes an archive into a file, with the offsets of its data blocks in the TOC: as pg_dump does with a file, the TOC is written
 * again once they are known. pg_restore then goes straight to the tables it wants, and its parallel workers start with the
 * largest. The file appears under its name when it is whole; a failure or an abort leaves nothing behind.
 *
 * @throws LifeboatError `INVALID_OPTION`, `DISK_FULL` or `WRITE_FAILED`; what the sources throw passes unchanged.
 */
export async function writeArchiveToFile(
	path: string,
	toc: ArchiveToc,
	data: DataSource,
	options: WriteArchiveOptions = {},
): Promise<void> {
	const plan = planArchive(toc, options);
	const temporary = join(
		dirname(path),
		`${TEMPORARY_PREFIX}${basename(path).slice(0, 150)}.${randomBytes(6).toString('hex')}`,
	);
	const offsets = new Map<number, number>();
	const stream = new ArchiveStream((signal) =>
		archiveBytes(plan, data, options, signal, (dumpId, offset) => offsets.set(dumpId, offset)),
	);
	abortable(stream, options.signal);
	try {
		const file = await open(temporary, 'wx', 0o600);
		try {
			await file.writeFile(stream);
			const start = encodeHeader(plan.toc, plan.format).length;
			const entries = encodeEntries(plan.toc, plan.format.version, offsets);
			for (let written = 0; written < entries.length;) {
				written += (await file.write(entries, written, entries.length - written, start + written))
					.bytesWritten;
			}
			await file.sync();
		} finally {
			await file.close();
		}
		await rename(temporary, path);
		await syncFolder(dirname(path));
	} catch (error) {
		stream.destroy();
		await rm(temporary, { force: true });
		throw writeError(error, path);
	}
}
