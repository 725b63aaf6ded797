import { Readable, type Transform } from 'node:stream';
import { constants, createDeflate, createInflate, createZstdCompress, createZstdDecompress } from 'node:zlib';

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

/** A compressor for one data block. pg_dump calls zlib streams (RFC 1950) gzip. */
function compressor(compression: 'gzip' | 'zstd', level: number): Transform {
	if (compression === 'gzip') return createDeflate({ level, chunkSize });
	return createZstdCompress({
		chunkSize,
		params: { [constants.ZSTD_c_compressionLevel]: level, [constants.ZSTD_c_checksumFlag]: 1 },
	});
}

/**
 * The compressed bytes of a source: one zlib stream or zstd frame. It starts at once, and goes as far ahead as the buffers do.
 *
 * A plain pipeline would not do: where the end comes while a write is still under way, node:zlib (Node 24.21) finishes the zstd
 * frame with that write, and then adds an empty one.
 */
export function compress(
	source: ByteSource,
	{ compression, level }: { compression: 'gzip' | 'zstd'; level: number },
	signal: AbortSignal,
): Readable {
	const engine = abortable(compressor(compression, level), signal);
	feed(source, engine).catch((error: unknown) =>
		engine.destroy(error instanceof Error ? error : new Error(messageOf(error), { cause: error })),
	);
	return engine;
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
	const engine =
		compression === 'gzip'
			? createInflate({ chunkSize, ...ahead })
			: createZstdDecompress({ chunkSize, ...ahead, params: { [constants.ZSTD_d_windowLogMax]: 27 } });
	let given = 0;
	let sourceEnded = false;
	const counted = async function* () {
		for await (const bytes of chunks) {
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
