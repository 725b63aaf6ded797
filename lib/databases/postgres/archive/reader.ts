import { ByteQueue } from './byte-queue';
import { openBlock, type OpenBlock } from './data-blocks';
import { requireDecompression } from './compression';
import { damaged, describeEntry } from './format';
import { LargeObjectLedger } from './large-object-ledger';
import { readToc } from './toc-reader';
import type { ArchiveReader, ArchiveToc, ByteSource, DataBlock, ReadArchiveOptions, TocEntry } from './types';

/**
 * Reads header and table of contents of a custom archive (`pg_dump -Fc`, versions 1.12 to 1.16: PostgreSQL 9.0 to 18); its data
 * blocks then follow from `blocks`, forward only and in constant memory.
 *
 * @throws LifeboatError `ARCHIVE_DAMAGED`, or `UNSUPPORTED_FORMAT` for other formats and versions, and for lz4. Errors of the
 * source pass unchanged.
 */
export async function readArchive(
	source: ByteSource,
	{ signal }: ReadArchiveOptions = {},
): Promise<ArchiveReader> {
	const queue = new ByteQueue(source, 0, signal);
	try {
		const toc = await readToc(queue);
		if (toc.entries.some((entry) => entry.hasData)) requireDecompression(toc.compression);
		let started = false;
		return {
			toc,
			get position() {
				return queue.offset;
			},
			blocks() {
				if (started) throw new TypeError('The data blocks of an archive can be read once');
				started = true;
				return readBlocks(queue, toc);
			},
			close: () => queue.close(),
		};
	} catch (error) {
		await queue.close();
		throw error;
	}
}

/**
 * Reads the data block of one entry from a source that starts where the block does, such as a file opened at an offset that the
 * TOC or `verifyArchive` gave: several can be read at a time.
 *
 * @param toc as it was read from the same archive. @param offset of the source's first byte in the archive.
 */
export async function readDataBlock(
	source: ByteSource,
	toc: Pick<ArchiveToc, 'compression'>,
	entry: TocEntry,
	offset: number,
	{ signal }: ReadArchiveOptions = {},
): Promise<{ readonly block: DataBlock; readonly close: () => Promise<void> }> {
	const queue = new ByteQueue(source, offset, signal);
	try {
		const { block } = await openBlock(queue, toc, (dumpId) => (dumpId === entry.dumpId ? entry : undefined));
		return { block, close: () => queue.close() };
	} catch (error) {
		await queue.close();
		throw error;
	}
}

async function* readBlocks(queue: ByteQueue, toc: ArchiveToc): AsyncGenerator<DataBlock, void, undefined> {
	const expected = new Map<number, TocEntry>();
	for (const entry of toc.entries) if (entry.hasData) expected.set(entry.dumpId, entry);
	const ledger = new LargeObjectLedger(toc);
	let open: OpenBlock | undefined;
	try {
		while (!(await queue.atEnd())) {
			open = await openBlock(queue, toc, (dumpId) => expected.get(dumpId), ledger);
			yield open.block;
			await open.finish();
			expected.delete(open.block.entry.dumpId);
		}
		const [missing] = expected.values();
		if (missing) throw damaged(`it ends before the data of ${describeEntry(missing)}`, queue.offset);
		ledger.requireAll(queue.offset);
	} finally {
		await queue.close();
	}
}
