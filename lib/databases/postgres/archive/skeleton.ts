import { LifeboatError } from '../../../errors';

import { describeEntry } from './format';
import { readArchive } from './reader';
import type { ArchiveToc } from './types';

/**
 * The TOC of an archive that pg_dump made without rows: complete but for the data, which the dump engine adds. Its entries TABLE
 * DATA have no copyStmt when pg_dump was told to write INSERT statements: see `copyStatement`.
 *
 * @throws LifeboatError `ARCHIVE_DAMAGED`, `UNSUPPORTED_FORMAT`, or `INVALID_OPTION` where a table's block is not empty after all:
 * those rows would be lost.
 */
export async function parseSkeleton(bytes: Uint8Array): Promise<ArchiveToc> {
	const archive = await readArchive(
		(async function* () {
			yield bytes;
		})(),
	);
	for await (const block of archive.blocks()) {
		if (block.kind !== 'table') continue;
		for await (const content of block.entry.copyStmt ? block.rows() : block.content()) {
			if (/^\n*$/.test(content.toString('latin1'))) continue;
			throw new LifeboatError('INVALID_OPTION', `The skeleton holds rows of ${describeEntry(block.entry)}`);
		}
	}
	for (const entry of archive.toc.entries) delete entry.dataOffset;
	return archive.toc;
}

/**
 * `COPY ... FROM stdin` as pg_dump writes it.
 *
 * @param table with its schema, quoted where needed. @param columns quoted where needed, separated by commas; may be empty.
 */
export function copyStatement(table: string, columns: string): string {
	return `COPY ${table} ${columns === '' ? '' : `(${columns})`} FROM stdin;\n`;
}
