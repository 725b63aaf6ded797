import type { ArchiveCompression, ByteSource, TocEntry } from './types';

/** What goes into the data block of an entry. */
export type EntryData =
	/** COPY text without end marker (what `COPY ... TO STDOUT` sends): the marker is added. */
	| { kind: 'rows'; rows: ByteSource }
	/** Taken as it is: `content()` of a block, or INSERT statements. */
	| { kind: 'content'; content: ByteSource }
	| { kind: 'large-objects'; objects: AsyncIterable<{ oid: number; content: ByteSource }> };

/** Opens the data of an entry. Called once for each entry with `hasData`, in TOC order. */
export type DataSource = (entry: TocEntry, signal: AbortSignal) => Promise<EntryData>;

export interface WriteArchiveOptions {
	/** `gzip` unless given. `zstd` needs pg_restore 16 or newer. `lz4` can't be written. */
	compression?: Exclude<ArchiveCompression, 'lz4'>;
	/** gzip 1 to 9 (6), zstd 1 to 19 (3). */
	level?: number;
	/** 14, 15 or 16; the oldest that holds what the TOC needs unless given. */
	version?: number;
	/** Of how many entries the data is opened (and compressed, as far as buffers go) ahead of the one being written; 0 unless given. */
	readAhead?: number;
	signal?: AbortSignal;
}
