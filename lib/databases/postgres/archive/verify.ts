import { copyRows } from './copy-text';
import { drain } from './drain';
import { describeEntry } from './format';
import { readArchive } from './reader';
import { textDisplay } from './text';
import type { ArchiveToc, ByteSource, LargeObjectsBlock, ReadArchiveOptions, TableDataBlock } from './types';

/** What a table's rows turned out to be. */
export interface VerifiedTable {
	dumpId: number;
	schema: string;
	name: string;
	/** Undefined where the block holds INSERT statements instead of COPY text, and nothing was given that counts them. */
	rows?: number;
	/** Decompressed. */
	bytes: number;
	/** Where its block starts in the archive. */
	offset: number;
}

type Statements = AsyncGenerator<Buffer, void, undefined>;

export interface VerifyArchiveOptions extends ReadArchiveOptions {
	/** Reads the INSERT statements of a block to their end, and tells how many there are. */
	countInserts?: (statements: Statements) => Promise<number | void>;
}

/** What a full decode of an archive found. */
export interface VerifiedArchive {
	toc: ArchiveToc;
	tables: VerifiedTable[];
	largeObjects: { count: number; bytes: number };
	/** Where the block of each entry starts in the archive, by dumpId: known even where the TOC has no offsets. */
	offsets: ReadonlyMap<number, number>;
	/** Size of the archive in bytes. */
	size: number;
}

/**
 * Reads an archive to its end: every data block is decompressed, the end marker of every table's rows must be there, every entry
 * must have its block, and the file must end after the last one. A list of the TOC (`pg_restore -l`) proves nothing of this.
 *
 * What no format could tell stays unseen: other bytes inside uncompressed rows or texts. The backup's own SHA-256 covers them.
 *
 * @throws LifeboatError `ARCHIVE_DAMAGED` or `UNSUPPORTED_FORMAT`
 */
export async function verifyArchive(
	source: ByteSource,
	{ countInserts = drain, ...options }: VerifyArchiveOptions = {},
): Promise<VerifiedArchive> {
	const archive = await readArchive(source, options);
	const { toc } = archive;
	const display = textDisplay(toc);
	const tables: VerifiedTable[] = [];
	const largeObjects = { count: 0, bytes: 0 };
	const offsets = new Map<number, number>();
	for await (const block of archive.blocks()) {
		offsets.set(block.entry.dumpId, block.offset);
		if (block.kind === 'large-objects') await countLargeObjects(block, largeObjects);
		else tables.push(await countTable(block, display, countInserts));
	}
	return { toc, tables, largeObjects, offsets, size: archive.position };
}

async function countTable(
	block: TableDataBlock,
	display: (text: string) => string,
	countInserts: (statements: Statements) => Promise<number | void>,
): Promise<VerifiedTable> {
	const { entry, offset } = block;
	let bytes = 0;
	const counted = async function* (): Statements {
		for await (const chunk of block.content()) {
			bytes += chunk.length;
			yield chunk;
		}
	};
	const rows = entry.copyStmt
		? await drain(copyRows(counted(), `the data of ${describeEntry(entry)}`, offset))
		: await countInserts(counted());
	return {
		...{ dumpId: entry.dumpId, schema: display(entry.namespace ?? ''), name: display(entry.tag) },
		...(typeof rows === 'number' ? { rows } : {}),
		...{ bytes, offset },
	};
}

async function countLargeObjects(
	block: LargeObjectsBlock,
	total: { count: number; bytes: number },
): Promise<void> {
	for await (const object of block.objects()) {
		total.count += 1;
		for await (const chunk of object.content()) total.bytes += chunk.length;
	}
}
