import { Readable } from 'node:stream';

import { LifeboatError } from '../../../errors';
import { abortable } from '../../../streams/chain';

import { compress } from './compression';
import { BLOCK_DATA, BLOCK_LARGE_OBJECTS, COPY_END, describeEntry } from './format';
import { encodeInt } from './toc-writer';
import type { WrittenFormat } from './toc-writer';
import type { ByteSource, TocEntry } from './types';
import type { DataSource, EntryData } from './written-types';

/** Small pieces are joined up to this size before they become a chunk of the archive. */
const CHUNK_BYTES = 32 * 1024;

const end = encodeInt(0);

/** A data block that was asked for. */
export interface PreparedBlock {
	bytes(): AsyncGenerator<Uint8Array, void, undefined>;
	/** Releases the sources of a block that is not going to be written. */
	destroy(): void;
}

/** Opens the data of an entry; it starts to be read and compressed, as far as the buffers go. */
export async function prepareBlock(
	entry: TocEntry,
	data: DataSource,
	format: WrittenFormat,
	signal: AbortSignal,
): Promise<PreparedBlock> {
	const content = await data(entry, signal);
	tie(sourceOf(content), signal);
	const isLargeObjects = content.kind === 'large-objects';
	if (isLargeObjects !== (entry.desc === 'BLOBS')) {
		destroy(sourceOf(content));
		throw new LifeboatError('INVALID_OPTION', `${describeEntry(entry)} was given data of the wrong kind`);
	}
	const header = Buffer.concat([
		Buffer.of(isLargeObjects ? BLOCK_LARGE_OBJECTS : BLOCK_DATA),
		encodeInt(entry.dumpId),
	]);
	if (content.kind === 'large-objects') {
		return {
			async *bytes() {
				yield header;
				yield* largeObjects(content.objects, format, signal);
			},
			destroy: () => destroy(content.objects),
		};
	}
	const source = content.kind === 'rows' ? withEndMarker(content.rows, entry) : content.content;
	const encoded = await encode(source, format, signal);
	return {
		async *bytes() {
			yield header;
			yield* chunks(encoded);
		},
		destroy() {
			encoded.destroy?.();
			destroy(sourceOf(content));
		},
	};
}

async function* largeObjects(
	objects: Extract<EntryData, { kind: 'large-objects' }>['objects'],
	format: WrittenFormat,
	signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
	for await (const { oid, content } of objects) {
		if (!Number.isInteger(oid) || oid <= 0 || oid > 0xffffffff) {
			throw new LifeboatError('INVALID_OPTION', `${oid} is no number of a large object`);
		}
		// OIDs are unsigned, but written as C's int.
		yield encodeInt(oid | 0);
		tie(content, signal);
		yield* chunks(await encode(content, format, signal));
	}
	yield end;
}

/** Ends a source when the signal aborts: what waits for its next bytes then learns of it. */
function tie(source: AsyncIterable<unknown>, signal: AbortSignal): void {
	if (source instanceof Readable) abortable(source, signal);
}

/** The bytes as they stand in the archive. */
async function encode(
	source: ByteSource,
	format: WrittenFormat,
	signal: AbortSignal,
): Promise<ByteSource & { destroy?(): void }> {
	const { compression, level } = format;
	if (compression !== 'gzip' && compression !== 'zstd') return source;
	return compress(source, { compression, level }, signal);
}

/** Each piece with its length before it, then the length 0. Large pieces are not copied. */
async function* chunks(source: ByteSource): AsyncGenerator<Uint8Array, void, undefined> {
	let small: Uint8Array[] = [];
	let size = 0;
	for await (const bytes of source) {
		small.push(bytes);
		size += bytes.length;
		if (size < CHUNK_BYTES) continue;
		yield encodeInt(size);
		yield small.length === 1 ? bytes : Buffer.concat(small, size);
		small = [];
		size = 0;
	}
	yield size > 0 ? Buffer.concat([encodeInt(size), ...small, end]) : end;
}

async function* withEndMarker(
	rows: ByteSource,
	entry: TocEntry,
): AsyncGenerator<Uint8Array, void, undefined> {
	let isComplete = true;
	for await (const bytes of rows) {
		if (bytes.length > 0) isComplete = bytes.at(-1) === 0x0a;
		yield bytes;
	}
	if (!isComplete) {
		throw new LifeboatError('INCOMPLETE', `${describeEntry(entry)} ended in the middle of a row`, {
			hint: 'The database stopped sending rows. Check its log, and run the dump again',
		});
	}
	yield Buffer.from(COPY_END, 'latin1');
}

function sourceOf(data: EntryData): AsyncIterable<unknown> {
	if (data.kind === 'rows') return data.rows;
	return data.kind === 'content' ? data.content : data.objects;
}

function destroy(source: AsyncIterable<unknown>): void {
	if (source instanceof Readable) source.destroy();
}
