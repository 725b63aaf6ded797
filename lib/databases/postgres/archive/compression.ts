import type { Transform } from 'node:stream';
import { Readable } from 'node:stream';
import { constants, createDeflate, createInflate, createZstdCompress, createZstdDecompress } from 'node:zlib';

import { codeOf, LifeboatError, messageOf } from '../../../errors';
import { chain } from '../../../streams/chain';

import type { ChunkReader } from './chunk-reader';
import { damaged } from './format';
import type { ArchiveCompression } from './types';

const chunkSize = 128 * 1024;

/** Compressions that are written, with their levels. */
export const compressionLevels = {
	gzip: { min: 1, max: 9, default: 6 },
	zstd: { min: 1, max: 19, default: 3 },
} as const;

/** A compressor for one data block. pg_dump calls zlib streams (RFC 1950) gzip. */
export function compressor(compression: 'gzip' | 'zstd', level: number): Transform {
	if (compression === 'gzip') return createDeflate({ level, chunkSize });
	return createZstdCompress({
		chunkSize,
		params: { [constants.ZSTD_c_compressionLevel]: level, [constants.ZSTD_c_checksumFlag]: 1 },
	});
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
			? createInflate({ chunkSize })
			: createZstdDecompress({ chunkSize, params: { [constants.ZSTD_d_windowLogMax]: 27 } });
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
