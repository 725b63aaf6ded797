import type { ByteQueue } from './byte-queue';
import { ChunkReader } from './chunk-reader';
import { decompress } from './compression';
import { copyRows, withoutEndMarker } from './copy-text';
import { drain } from './drain';
import { BLOCK_DATA, BLOCK_LARGE_OBJECTS, damaged, describeEntry } from './format';
import type { LargeObjectLedger } from './large-object-ledger';
import type {
	ArchiveCompression,
	ArchiveToc,
	DataBlock,
	LargeObject,
	LargeObjectsBlock,
	TableDataBlock,
	TocEntry,
} from './types';

/** A block whose header was read. */
export interface OpenBlock {
	block: DataBlock;
	/** Decodes the block where nobody touched it, and passes over the rest where somebody stopped half-way. */
	finish(): Promise<void>;
}

/**
 * Reads the header of the next block.
 *
 * @param expected finds the entry of a dumpId, if its data may come now. @param ledger told of large objects.
 */
export async function openBlock(
	queue: ByteQueue,
	{ compression }: Pick<ArchiveToc, 'compression'>,
	expected: (dumpId: number) => TocEntry | undefined,
	ledger?: LargeObjectLedger,
): Promise<OpenBlock> {
	const offset = queue.offset;
	const { type, dumpId } = await queue.parse('the start of a data block', (cursor) => ({
		type: cursor.byte(),
		dumpId: cursor.int(),
	}));
	if (type !== BLOCK_DATA && type !== BLOCK_LARGE_OBJECTS)
		throw damaged(`a data block of type ${type}`, offset);
	const entry = expected(dumpId);
	if (!entry) throw damaged(`a data block for entry ${dumpId}, where none belongs`, offset);
	if (entry.dataOffset !== undefined && entry.dataOffset !== offset) {
		throw damaged(`the data of ${describeEntry(entry)} should start at byte ${entry.dataOffset}`, offset);
	}
	if ((entry.desc === 'BLOBS') !== (type === BLOCK_LARGE_OBJECTS)) {
		throw damaged(`${describeEntry(entry)} has a data block of type ${type}`, offset);
	}
	return type === BLOCK_DATA
		? openTable(queue, compression, entry, offset)
		: openLargeObjects(queue, compression, entry, offset, ledger);
}

function openTable(
	queue: ByteQueue,
	compression: ArchiveCompression,
	entry: TocEntry,
	offset: number,
): OpenBlock {
	const what = `the data of ${describeEntry(entry)}`;
	const chunks = new ChunkReader(queue, what);
	let isTouched = false;
	const content = (): AsyncGenerator<Buffer, void, undefined> => {
		if (isTouched) throw new TypeError('A data block can be read once');
		isTouched = true;
		return withoutZeros(decompress(compression, chunks, offset), what, offset);
	};
	const copyText = () => {
		if (!entry.copyStmt) throw new TypeError(`${what} is no COPY text`);
		return content();
	};
	const block: TableDataBlock = {
		...{ kind: 'table', entry, offset, content },
		rows: () => copyRows(copyText(), what, offset),
		uncountedRows: () => withoutEndMarker(copyText(), what, offset),
		async skip() {
			isTouched = true;
			await chunks.skip();
		},
	};
	return {
		block,
		async finish() {
			if (!isTouched) await (entry.copyStmt ? drain(block.rows()) : drain(content()));
			await chunks.skip();
		},
	};
}

/** COPY text and SQL have no zero byte; a length that went wrong may make the head of the next chunk look like one. */
async function* withoutZeros(
	content: AsyncIterable<Buffer>,
	what: string,
	offset: number,
): AsyncGenerator<Buffer, void, undefined> {
	for await (const bytes of content) {
		if (bytes.includes(0)) throw damaged(`${what} holds a zero byte`, offset);
		yield bytes;
	}
}

function openLargeObjects(
	queue: ByteQueue,
	compression: ArchiveCompression,
	entry: TocEntry,
	offset: number,
	ledger: LargeObjectLedger | undefined,
): OpenBlock {
	ledger?.seeBlock();
	let isTouched = false;
	let ended = false;
	let current: OpenLargeObject | undefined;
	const next = async (decode: boolean): Promise<LargeObject | undefined> => {
		if (ended) return undefined;
		await current?.finish(decode);
		const at = queue.offset;
		current = await openLargeObject(queue, compression);
		if (current) ledger?.see(current.object.oid, at);
		ended = current === undefined;
		return current?.object;
	};
	const objects = async function* () {
		for (let object = await next(true); object; object = await next(true)) yield object;
	};
	const skip = async () => {
		isTouched = true;
		while (await next(false));
	};
	return {
		block: {
			...{ kind: 'large-objects', entry, offset },
			objects() {
				if (isTouched) throw new TypeError('A data block can be read once');
				isTouched = true;
				return objects();
			},
			skip,
		} satisfies LargeObjectsBlock,
		async finish() {
			if (!isTouched) await drain(objects());
			await skip();
		},
	};
}

interface OpenLargeObject {
	object: LargeObject;
	finish(decode: boolean): Promise<void>;
}

/** Undefined at the end of the list, which the impossible OID 0 marks. */
async function openLargeObject(
	queue: ByteQueue,
	compression: ArchiveCompression,
): Promise<OpenLargeObject | undefined> {
	const offset = queue.offset;
	// OIDs are unsigned, but written as C's int.
	const oid = await queue.parse('the list of large objects', (cursor) => cursor.int() >>> 0);
	if (oid === 0) return undefined;
	const chunks = new ChunkReader(queue, `large object ${oid}`);
	let isTouched = false;
	const content = () => {
		if (isTouched) throw new TypeError('A large object can be read once');
		isTouched = true;
		return decompress(compression, chunks, offset);
	};
	return {
		object: { oid, content },
		async finish(decode) {
			if (decode && !isTouched) await drain(content());
			await chunks.skip();
		},
	};
}
