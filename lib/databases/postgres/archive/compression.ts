import { Readable, type Transform } from 'node:stream';
import {
	constants,
	createDeflate,
	createInflate,
	createZstdCompress,
	createZstdDecompress,
	type Inflate,
	type ZlibOptions,
	type ZstdDecompress,
} from 'node:zlib';

import { codeOf, LifeboatError, messageOf } from '../../../errors';
import { abortable, chain } from '../../../streams/chain';

import type { ChunkReader } from './chunk-reader';
import { damaged } from './format';
import type { ArchiveCompression, ByteSource } from './types';

const chunkSize = 128 * 1024;

/** What a decompressor makes ahead of its reader: with less than a chunk it would work only while the reader waits. */
const ahead = { readableHighWaterMark: 512 * 1024 };

/** Compressions that are written, with their levels. */
export const compressionLevels = {
	gzip: { min: 1, max: 9, default: 6 },
	zstd: { min: 1, max: 19, default: 3 },
} as const;

/** Blocks up to this size are compressed with as little memory as they need. */
const smallBlock = 16 * 1024;

/** A compressor for one data block. pg_dump calls zlib streams (RFC 1950) gzip. @param size of the block, where it is small. */
function compressor(compression: 'gzip' | 'zstd', level: number, size?: number): Transform {
	const isSmall = size !== undefined;
	if (compression === 'gzip')
		return createDeflate(isSmall ? smallDeflate(level, size) : { level, chunkSize });
	return createZstdCompress({
		...(isSmall ? { chunkSize: smallChunk(size), pledgedSrcSize: size } : { chunkSize }),
		params: { [constants.ZSTD_c_compressionLevel]: level, [constants.ZSTD_c_checksumFlag]: 1 },
	});
}

const smallChunk = (size: number) => size + 512;

/**
 * With a window and tables that hold all of a small block: it becomes as small. Of the usual ones each block would take 400 KB, and with
 * thousands of tables V8 would do little else than collect them.
 */
function smallDeflate(level: number, size: number): ZlibOptions {
	const windowBits = Math.max(9, Math.ceil(Math.log2(size + 1)));
	return { level, windowBits, memLevel: Math.min(8, windowBits - 6), chunkSize: smallChunk(size) };
}

/**
 * The compressed bytes of a source: one zlib stream or zstd frame. It starts at once, and goes as far ahead as the buffers do.
 *
 * A plain pipeline would not do: where the end comes while a write is still under way, node:zlib (Node 24.21) finishes the zstd
 * frame with that write, and then adds an empty one.
 */
export async function compress(
	source: ByteSource,
	{ compression, level }: { compression: 'gzip' | 'zstd'; level: number },
	signal: AbortSignal,
): Promise<Readable> {
	const { pieces, size } = await peek(source);
	const engine = abortable(compressor(compression, level, size), signal);
	feed(pieces, engine).catch((error: unknown) =>
		engine.destroy(error instanceof Error ? error : new Error(messageOf(error), { cause: error })),
	);
	return engine;
}

/** Reads a source until it is known whether it is small; gives all of its pieces, and its size if it is. */
async function peek(source: ByteSource): Promise<{ pieces: ByteSource; size?: number }> {
	const rest = source[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>;
	const start: Uint8Array[] = [];
	const pieces = joined(start, rest);
	let size = 0;
	while (size <= smallBlock) {
		const next = await rest.next();
		if (next.done) return { pieces, size };
		start.push(next.value);
		size += next.value.length;
	}
	return { pieces };
}

async function* joined(
	start: Uint8Array[],
	rest: AsyncIterator<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
	try {
		for (let piece = start.shift(); piece; piece = start.shift()) yield piece;
		yield* { [Symbol.asyncIterator]: () => rest };
	} finally {
		await rest.return?.();
	}
}

async function feed(source: ByteSource, engine: Transform): Promise<void> {
	let written = Promise.resolve();
	for await (const bytes of source) {
		await written;
		written = new Promise((resolve, reject) => {
			engine.write(bytes, (error) => (error ? reject(error) : resolve()));
		});
		// It is awaited at the next turn; a failure until then must not end the process.
		written.catch(() => undefined);
	}
	await written;
	engine.end();
}

/** @throws LifeboatError `UNSUPPORTED_FORMAT` for what can't be decompressed here. */
export function requireDecompression(compression: ArchiveCompression): void {
	if (compression !== 'lz4') return;
	throw new LifeboatError('UNSUPPORTED_FORMAT', 'The data of the PostgreSQL archive is compressed with lz4', {
		hint: 'lz4 can not be read here: restore this archive with pg_restore, and dump with --compress=zstd or gzip in future',
	});
}

/** @param isSmall whether little is going to be decompressed, for which little memory is taken. */
function decompressor(compression: ArchiveCompression, isSmall: boolean): Inflate | ZstdDecompress {
	const sizes = isSmall ? { chunkSize: smallBlock } : { chunkSize, ...ahead };
	if (compression === 'gzip') return createInflate(sizes);
	return createZstdDecompress({ ...sizes, params: { [constants.ZSTD_d_windowLogMax]: 27 } });
}

/**
 * The decompressed bytes of a data block. It ends only where the compressed data ended properly and nothing follows it in the
 * block; the checksums that the compressions bring are compared.
 */
export async function* decompress(
	compression: ArchiveCompression,
	chunks: ChunkReader,
	offset: number,
): AsyncGenerator<Buffer, void, undefined> {
	if (compression === 'none') {
		yield* chunks;
		return;
	}
	requireDecompression(compression);
	const first = await chunks.next();
	const second = first && first.length <= smallBlock ? await chunks.next() : undefined;
	const isSmall = first !== undefined && first.length <= smallBlock && second === undefined;
	const engine = decompressor(compression, isSmall);
	let given = 0;
	let sourceEnded = false;
	const counted = async function* () {
		for (let bytes = first; bytes; bytes = bytes === first && second ? second : await chunks.next()) {
			given += bytes.length;
			yield bytes;
		}
		sourceEnded = true;
	};
	try {
		yield* chain(Readable.from(counted(), { objectMode: false }), [engine]);
	} catch (error) {
		if (!/^(?:Z_|ZSTD_|ERR_ZSTD)/.test(codeOf(error) ?? '')) throw error;
		throw damaged(`${chunks.what} can't be decompressed (${messageOf(error)})`, offset, error);
	}
	if (!sourceEnded || engine.bytesWritten !== given) {
		throw damaged(`something follows the compressed data in ${chunks.what}`, offset);
	}
}
