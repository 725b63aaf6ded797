/**
 * What PostgreSQL's custom archive format (`pg_dump -Fc`) holds.
 *
 * The format has no specification but pg_dump's own source (pg_backup_archiver.c, pg_backup_custom.c, compress_*.c).
 */

/** How data blocks are compressed. `gzip` means zlib streams (RFC 1950), as pg_dump names it. */
export type ArchiveCompression = 'none' | 'gzip' | 'lz4' | 'zstd';

/** When pg_restore replays an entry; `none` (comments, ACLs of old archives) goes with what it depends on. */
export type ArchiveSection = 'none' | 'pre-data' | 'data' | 'post-data';

/**
 * How the bytes of the TOC's texts became strings: `utf8`, or, where at least one text is no UTF-8, `latin1`: one
 * character a byte, whatever the database's encoding. Both give the same bytes back. `displayText` makes names readable.
 */
export type ArchiveTextEncoding = 'utf8' | 'latin1';

/** Local time of the machine that dumped; the format stores no time zone. */
export interface ArchiveTime {
	year: number;
	/** 1 to 12. */
	month: number;
	day: number;
	hour: number;
	minute: number;
	second: number;
	isDaylightSaving: boolean;
}

/** One object of the database, or the data of one. The order of fields is the order in the file. */
export interface TocEntry {
	/** Positive, unique in the archive. */
	dumpId: number;
	/** Whether a data block with this dumpId follows the TOC. */
	hasData: boolean;
	/** The object's catalog (`pg_class` is 1259) and its OID there; both 0 for what is no catalog object. */
	catalogId: { tableOid: number; oid: number };
	/** The object's name, with arguments or table where needed: `orders`, `add(integer, integer)`, `TABLE orders`. */
	tag: string;
	/** `TABLE`, `TABLE DATA`, `INDEX`, `BLOBS`, `ACL`, ... */
	desc: string;
	section: ArchiveSection;
	/** SQL that creates the object; empty or null for data. A BLOB METADATA entry has one OID a line here. */
	defn: string | null;
	/** SQL that drops it; empty or null where there is nothing to drop. */
	dropStmt: string | null;
	/** `COPY schema.table (columns) FROM stdin;\n`; empty or null where the data block is not COPY text. */
	copyStmt: string | null;
	/** Schema; null for objects outside of any. */
	namespace: string | null;
	/** Null where none applies, empty for the database's default. */
	tablespace: string | null;
	/** Table access method (from 1.14); null where none applies. */
	tableam: string | null;
	/** `pg_class.relkind` such as `r` (from 1.16), empty if none. */
	relkind: string;
	owner: string | null;
	/** Only archives of PostgreSQL 11 and older have true. */
	withOids: boolean;
	/** dumpIds of entries that must be restored before; may name ids that the archive does not hold. */
	dependencies: number[];
	/**
	 * First byte of the data block, counted from the start of the archive. Undefined where the entry has no data, or where the
	 * archive was written to a pipe.
	 */
	dataOffset?: number;
}

/** Header and table of contents. Plain data, meant to be changed before it is written. */
export interface ArchiveToc {
	/** Minor version `n` of archive format 1.n: 12 (pg_dump 9.0) to 16 (pg_dump 17 and 18). */
	version: number;
	compression: ArchiveCompression;
	/** As stored up to 1.14; -1 is the format's default. Undefined from 1.15 on. */
	compressionLevel?: number;
	createdAt: ArchiveTime;
	database: string | null;
	/** Such as `15.20`. */
	serverVersion: string | null;
	/** Version of the pg_dump that made it. */
	dumpVersion: string | null;
	textEncoding: ArchiveTextEncoding;
	/** In the order pg_restore replays them. */
	entries: TocEntry[];
}

/** The data of one table (or of anything that is no large object). */
export interface TableDataBlock {
	readonly kind: 'table';
	readonly entry: TocEntry;
	/** Where the block starts in the archive, in bytes. */
	readonly offset: number;
	/** Decompressed bytes as they stand in the archive: for COPY with the end marker, otherwise INSERT statements. */
	readonly content: () => AsyncGenerator<Buffer, void, undefined>;
	/**
	 * COPY text, one line a row, without the end marker; what `COPY ... FROM STDIN` takes. Returns the number of rows at its end.
	 * Only for entries with a copyStmt. Fails with `ARCHIVE_DAMAGED` where the end marker is missing.
	 */
	readonly rows: () => AsyncGenerator<Buffer, number, undefined>;
	/** As `rows`, without counting them. */
	readonly uncountedRows: () => AsyncGenerator<Buffer, void, undefined>;
	/** Passes over the block without decompressing it: nothing is checked but its framing. */
	readonly skip: () => Promise<void>;
}

export interface LargeObject {
	readonly oid: number;
	/** Decompressed. */
	readonly content: () => AsyncGenerator<Buffer, void, undefined>;
}

/** Contents of large objects (entry BLOBS). */
export interface LargeObjectsBlock {
	readonly kind: 'large-objects';
	readonly entry: TocEntry;
	readonly offset: number;
	/** In file order. Taking the next one reads the rest of the one before. */
	readonly objects: () => AsyncGenerator<LargeObject, void, undefined>;
	readonly skip: () => Promise<void>;
}

export type DataBlock = TableDataBlock | LargeObjectsBlock;

export interface ReadArchiveOptions {
	signal?: AbortSignal;
}

/** An archive that is being read, forward only. */
export interface ArchiveReader {
	readonly toc: ArchiveToc;
	/** Bytes of the archive that were read so far; its size, once `blocks` has ended. */
	readonly position: number;
	/**
	 * The data blocks in file order; once. Taking the next one decodes the one before if it was not touched, and passes over the
	 * rest of one that was left half-way. After the last one it has made sure that every entry with data had its block, and that
	 * the file ends there.
	 */
	readonly blocks: () => AsyncGenerator<DataBlock, void, undefined>;
	/** Releases the source; needed where `blocks` was not read to its end. Safe to call twice. */
	readonly close: () => Promise<void>;
}

/** Bytes, forward only: a stream, or anything that can be iterated. */
export type ByteSource = AsyncIterable<Uint8Array>;

/**
 * The semantics of pg_restore's options. Names are exact, no patterns; a table is a name without schema, as there. An empty list
 * of names is as good as none.
 */
export interface EntrySelection {
	/** `-n`: what lies in these schemas, but not CREATE SCHEMA itself, as there. */
	schemas?: readonly string[];
	/** `-N` */
	excludeSchemas?: readonly string[];
	/** `-t`: tables, views, materialized views, sequences, foreign tables and their data. */
	tables?: readonly string[];
	/** `-I` */
	indexes?: readonly string[];
	/** `-P`, with argument types as the list shows them: `add(integer, integer)` */
	functions?: readonly string[];
	/** `-T` */
	triggers?: readonly string[];
	/** `-L`: the text of a list as `formatList` prints it, edited; its order counts. */
	list?: string;
	/** `--section` */
	sections?: ReadonlyArray<Exclude<ArchiveSection, 'none'>>;
	/** `-s` */
	schemaOnly?: boolean;
	/** `-a` */
	dataOnly?: boolean;
	/** `-x` */
	noPrivileges?: boolean;
	/** `--no-comments`, `--no-publications`, `--no-security-labels`, `--no-subscriptions` */
	noComments?: boolean;
	noPublications?: boolean;
	noSecurityLabels?: boolean;
	noSubscriptions?: boolean;
	/** `-C`: with the entries of the database itself. */
	createDatabase?: boolean;
}

/** Which parts of an entry are to be restored. */
export interface SelectedEntry {
	entry: TocEntry;
	/** It counts as schema and its `defn` is to be run. */
	schema: boolean;
	/** It counts as data: its block is to be loaded or, where it has none (sequence values, large objects), its `defn` run. */
	data: boolean;
}
