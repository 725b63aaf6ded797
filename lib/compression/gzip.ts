import { createGunzip, createGzip } from 'node:zlib';

import type { CompressionFormat } from './compression';
import { DecompressStream } from './decompress-stream';

const chunkSize = 128 * 1024;

/** RFC 1952, opened by `gzip -d`. */
export const gzip: CompressionFormat = {
	name: 'gzip',
	extension: '.gz',
	defaultLevel: 6,
	levels: { min: 1, max: 9 },
	compressor: (level) => createGzip({ level, chunkSize }),
	decompressor: () => new DecompressStream(() => createGunzip({ chunkSize })),
};
