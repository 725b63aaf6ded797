import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { PassThrough, Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { describe, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { gzipSync, zstdCompressSync } from 'node:zlib';

import fc from 'fast-check';

import {
	compressionEncoding,
	decompressor,
	type CompressionName,
} from '../../../lib/compression/compression';
import { LifeboatError } from '../../../lib/errors';
import { chain } from '../../../lib/streams/chain';
import { DigestStream } from '../../../lib/streams/digest';

const formats = ['gzip', 'zstd'] as const;
const compressSync = { gzip: gzipSync, zstd: zstdCompressSync };

/** Cuts bytes into pieces of these sizes, over and over. */
function* pieces(bytes: Buffer, sizes: readonly number[]): Generator<Buffer> {
	for (let offset = 0, i = 0; offset < bytes.length; i++) {
		const size = sizes[i % sizes.length]!;
		yield bytes.subarray(offset, offset + size);
		offset += size;
	}
}

/** Decompresses behind a digest, as backups are read: it knows whether all of the input was taken. */
async function decompress(
	format: CompressionName,
	bytes: Buffer,
	sizes: readonly number[] = [65536],
): Promise<Buffer> {
	const digest = new DigestStream();
	const transforms = [digest, decompressor({ type: 'compression', format })];
	const result = await buffer(chain(Readable.from(pieces(bytes, sizes)), transforms));
	assert.equal(digest.digest().size, bytes.length);
	return result;
}

async function compress(format: CompressionName, source: Readable, level?: number): Promise<Buffer> {
	return await buffer(chain(source, [await compressionEncoding(format, level).createTransform()]));
}

async function command(name: string, args: string[], input: Buffer): Promise<Buffer> {
	const child = spawn(name, args, { stdio: ['pipe', 'pipe', 'inherit'] });
	child.stdin.end(input);
	const output = await buffer(child.stdout);
	assert.equal(child.exitCode ?? (await new Promise((resolve) => child.on('exit', resolve))), 0);
	return output;
}

for (const format of formats) {
	describe(format, () => {
		const samples = [
			Buffer.alloc(0),
			Buffer.from('a'),
			Buffer.alloc(3_000_000, 'lifeboat'),
			randomBytes(700_000),
		];

		test('the command opens what is written, and what it writes is opened', async () => {
			for (const sample of samples) {
				const ours = await compress(format, Readable.from(pieces(sample, [100_000])));
				assert.deepEqual(await command(format, ['-d', '-c'], ours), sample);
				assert.deepEqual(await decompress(format, await command(format, ['-c'], sample)), sample);
			}
		});

		test('any pieces of any content come back, read fast or slowly', async () => {
			await fc.assert(
				fc.asyncProperty(
					fc.uint8Array({ maxLength: 5000 }),
					fc.integer({ min: 1, max: 400 }),
					fc.array(fc.integer({ min: 1, max: 3000 }), { minLength: 1, maxLength: 4 }),
					async (seed, repeat, sizes) => {
						const content = Buffer.concat(Array<Uint8Array>(repeat).fill(seed));
						const packed = await compress(
							format,
							Readable.from(
								pieces(
									content,
									sizes.map((size) => size * 50),
								),
							),
						);
						assert.deepEqual(await decompress(format, packed, sizes), content);
					},
				),
				{ numRuns: 60 },
			);
		});

		test('an end that comes while a write is under way loses nothing', async () => {
			for (let i = 0; i < 40; i++) {
				const content = randomBytes(1000 + i * 20_000);
				const source = new PassThrough();
				source.end(content);
				assert.deepEqual(await decompress(format, await compress(format, source), [1 << 20]), content);
			}
		});

		test('concatenated files are read to the end of the last one', async () => {
			const parts = [randomBytes(200_000), Buffer.alloc(0), Buffer.from('x'), Buffer.alloc(900_000, 'y')];
			const whole = Buffer.concat(parts.map((part) => compressSync[format](part)));
			for (const sizes of [[997], [7, 100_001], [64 * 1024], [1 << 24]]) {
				assert.deepEqual(
					await decompress(format, whole, sizes),
					Buffer.concat(parts),
					`pieces of ${sizes.join()}`,
				);
			}
		});

		test('what is cut, changed or followed by something else fails', async () => {
			const content = Buffer.concat([randomBytes(150_000), Buffer.alloc(150_000, 'z')]);
			const packed = compressSync[format](content);
			const refused = (error: unknown) => error instanceof LifeboatError && error.code === 'DAMAGED';
			for (const length of [1, 5, 100, packed.length >> 1, packed.length - 5, packed.length - 1]) {
				await assert.rejects(decompress(format, packed.subarray(0, length)), refused, `cut at ${length}`);
			}
			await assert.rejects(decompress(format, Buffer.concat([packed, Buffer.from('garbage')])), refused);
			await assert.rejects(decompress(format, Buffer.from('neither gzip nor zstd')), refused);
		});

		test('a reader that stops early ends the whole chain', async () => {
			const source = Readable.from(pieces(compressSync[format](randomBytes(4_000_000)), [50_000]));
			const result = chain(source, [decompressor({ type: 'compression', format })]);
			for await (const piece of result) {
				assert.ok(piece);
				break;
			}
			await turn();
			assert.ok(source.destroyed && result.destroyed);
		});

		test('a level that the format does not have is refused', () => {
			for (const level of [0, 1.5, 99, Number.NaN]) {
				assert.throws(() => compressionEncoding(format, level), { code: 'INVALID_OPTION' });
			}
		});
	});
}

test('an unknown format names those that are known', () => {
	assert.throws(() => compressionEncoding('rar' as CompressionName), /rar/);
});
