import { LifeboatError } from '../../../errors';

import type { ArchiveCompression, ArchiveSection } from './types';

/** First bytes of an archive, and of the toc.dat of the directory and tar formats. */
export const MAGIC = 'PGDMP';

/** The byte behind the sizes in the header; directory and tar archives have 3. */
export const FORMAT_CUSTOM = 1;

/** Bytes of an integer, without its sign byte, and of a file offset, without its state byte. The same on every platform. */
export const INTEGER_SIZE = 4;
export const OFFSET_SIZE = 8;

/** Minor versions of format 1 that are read. 12 came with PostgreSQL 9.0, 16 with 17; 18 still writes 16. */
export const OLDEST_VERSION = 12;
export const NEWEST_VERSION = 16;

/** What a version of the format brought. */
export const VERSION_WITH_TABLE_ACCESS_METHOD = 14;
export const VERSION_WITH_COMPRESSION_ALGORITHM = 15;
export const VERSION_WITH_RELKIND = 16;

/** Type byte of a data block. */
export const BLOCK_DATA = 1;
export const BLOCK_LARGE_OBJECTS = 3;

/** State byte before a file offset in the TOC. */
export const OFFSET_NOT_SET = 1;
export const OFFSET_SET = 2;
export const OFFSET_NO_DATA = 3;

/** By the number that stands for them. */
export const sections: readonly (ArchiveSection | undefined)[] = [
	undefined,
	'none',
	'pre-data',
	'data',
	'post-data',
];
export const compressions: readonly ArchiveCompression[] = ['none', 'gzip', 'lz4', 'zstd'];

/** What pg_dump puts after the rows of COPY text. */
export const COPY_END = '\\.\n\n\n';

/** How to call an entry in messages. */
export function describeEntry(entry: { desc: string; tag: string; namespace: string | null }): string {
	const name = entry.namespace ? `${entry.namespace}.${entry.tag}` : entry.tag;
	return `${entry.desc} ${name}`.replaceAll(/\p{Cc}/gu, ' ').slice(0, 200);
}

/** The error for bytes that the format does not allow, or that are missing. */
export function damaged(what: string, offset: number, cause?: unknown): LifeboatError {
	return new LifeboatError(
		'ARCHIVE_DAMAGED',
		`The PostgreSQL archive is damaged at byte ${offset}: ${what}`,
		{
			hint: 'Do not use this copy. Take the same backup from another destination, or an older one',
			cause,
		},
	);
}
