import { constants, createZstdCompress, createZstdDecompress } from 'node:zlib';

import type { CompressionFormat } from './compression';
import { DecompressStream } from './decompress-stream';

const chunkSize = 128 * 1024;

/**
 * RFC 8878, opened by `zstd -d`. With the frame's own checksum; one thread, since `ZSTD_c_nbWorkers` breaks node:zlib's stream
 * (seen on Node 24.21). Windows over 128 MiB, which only a hostile or `--long` file needs, are refused on reading.
 */
export const zstd: CompressionFormat = {
	name: 'zstd',
	extension: '.zst',
	defaultLevel: 3,
	levels: { min: 1, max: 19 },
	compressor: (level) =>
		createZstdCompress({
			chunkSize,
			params: { [constants.ZSTD_c_compressionLevel]: level, [constants.ZSTD_c_checksumFlag]: 1 },
		}),
	decompressor: () =>
		new DecompressStream(() =>
			createZstdDecompress({ chunkSize, params: { [constants.ZSTD_d_windowLogMax]: 27 } }),
		),
};
