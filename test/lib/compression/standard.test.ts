import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createGzip, zstdCompressSync } from 'node:zlib';

import fc from 'fast-check';

import type { CompressionTransformation } from '../../../lib/artifact/manifest';
import {
	compressionEncoding,
	decompressor,
	type CompressionName,
} from '../../../lib/compression/compression';
import { run } from '../encryption/age-command';
import { assertLifeboatError, attempt, pieces, sampleBytes, transformed } from '../encryption/helpers';

const SEED = 20_261_121;

/** Half of it can be compressed. */
const data = Buffer.concat([sampleBytes(150_000), Buffer.alloc(150_000), sampleBytes(50_000)]);

interface Subject {
	name: CompressionName;
	extension: string;
	levels: number[];
	/** Bytes at the start of which some carry no information that matters. */
	headerLength: number;
}

const subjects: Subject[] = [
	{ name: 'gzip', extension: '.gz', levels: [1, 6, 9], headerLength: 10 },
	{ name: 'zstd', extension: '.zst', levels: [1, 3, 19], headerLength: 0 },
];

for (const { name, extension, levels, headerLength } of subjects) {
	describe(`compression with ${name}`, () => {
		const transformation: CompressionTransformation = { type: 'compression', format: name };
		const compress = async (input: Buffer | Buffer[], level?: number) =>
			transformed(await compressionEncoding(name, level).createTransform(), input);
		const decompress = (input: Buffer | Buffer[]) => transformed(decompressor(transformation), input);
		const refuse = async (input: Buffer | Buffer[], what: string) => {
			const { error } = await attempt(decompressor(transformation), input);
			assertLifeboatError(error, 'DAMAGED');
			assert.match(error.message, /damaged or was cut short/, what);
		};

		test('the command opens what is written here, at every level', async () => {
			for (const level of levels) {
				for (const bytes of [data, data.subarray(0, 1), Buffer.alloc(0)]) {
					assert.ok(
						bytes.equals(await run(name, ['-d', '-c'], await compress(bytes, level))),
						`level ${level}`,
					);
				}
			}
			const encoding = compressionEncoding(name);
			assert.equal(encoding.extension, extension);
			assert.deepEqual(encoding.transformation, { ...transformation, level: levels[1] });
			const sizes = await Promise.all(levels.map(async (level) => (await compress(data, level)).length));
			assert.ok(sizes[0]! < data.length * 0.7 && sizes[2]! <= sizes[0]!, String(sizes));
		});

		test('opens what the command writes', async () => {
			for (const bytes of [data, data.subarray(0, 1), Buffer.alloc(0)]) {
				assert.ok(bytes.equals(await decompress(await run(name, ['-c'], bytes))));
			}
		});

		test('refuses what was cut short, anywhere', async () => {
			const file = await compress(data);
			const ends = [
				0,
				1,
				2,
				5,
				9,
				10,
				11,
				18,
				1000,
				...[1, 2, 4, 5, 8, 9, 20].map((less) => file.length - less),
			];
			for (const end of ends) {
				await refuse(file.subarray(0, end), `cut at ${end}`);
				await refuse(pieces(file.subarray(0, end), [100, 1000]), `cut at ${end}, in pieces`);
			}
			await refuse(Buffer.concat([file, file.subarray(0, -1)]), 'a second one cut short');
		});

		test('refuses changed bits and appended bytes', async () => {
			const file = await compress(data);
			const places = fc.tuple(fc.integer({ min: headerLength, max: file.length - 1 }), fc.nat(7));
			for (const [place, bit] of fc.sample(places, { numRuns: 200, seed: SEED })) {
				const changed = Buffer.from(file);
				changed[place]! ^= 1 << bit;
				const { released, error } = await attempt(decompressor(transformation), changed);
				// A few bits say nothing about the content, such as those that fill up a byte.
				if (error === undefined) assert.ok(released.equals(data), `bit ${bit} of byte ${place}`);
				else assertLifeboatError(error, 'DAMAGED');
			}
			for (const tail of [Buffer.from('x'), Buffer.alloc(10), sampleBytes(100)]) {
				await refuse(Buffer.concat([file, tail]), 'appended');
				await refuse([file, tail], 'appended in a write of its own');
			}
			await refuse(sampleBytes(1000), 'no such file');
		});

		test('unpacks no more than is read, though a little holds a lot', async () => {
			const bomb = await compress(Array.from({ length: 200 }, () => Buffer.alloc(1024 * 1024)));
			assert.ok(bomb.length < 300_000);
			const stream = decompressor(transformation);
			stream.end(bomb);
			await new Promise((resolve) => stream.once('readable', resolve));
			await sleep(100);
			assert.ok(stream.readableLength <= 1024 * 1024, `${stream.readableLength} bytes wait`);
			let size = 0;
			for await (const bytes of stream as AsyncIterable<Buffer>) size += bytes.length;
			assert.equal(size, 200 * 1024 * 1024);
		});

		test("passes the source's failure on, and ends its work when it is destroyed", async () => {
			const stream = decompressor(transformation);
			const closed = new Promise<void>((resolve) => stream.on('close', resolve));
			const failed = new Promise<unknown>((resolve) => stream.on('error', resolve));
			stream.write((await compress(data)).subarray(0, 1000));
			const error = new Error('cancelled');
			stream.destroy(error);
			assert.equal(await failed, error);
			await closed;
		});
	});
}

test('zstd windows that only a hostile file needs are refused before memory is taken', async () => {
	// RFC 8878, 3.1.1: magic number, frame header descriptor, window descriptor (28 = 10 + 18), a raw block of one byte.
	const frame = (windowLog: number) =>
		Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, (windowLog - 10) << 3, 0x09, 0x00, 0x00, 0x41]);
	const zstd: CompressionTransformation = { type: 'compression', format: 'zstd' };
	assert.equal((await transformed(decompressor(zstd), frame(27))).toString(), 'A');
	const before = process.resourceUsage().maxRSS;
	for (const windowLog of [28, 31, 41]) {
		const { released, error } = await attempt(decompressor(zstd), frame(windowLog));
		assertLifeboatError(error, 'DAMAGED');
		assert.equal(released.length, 0);
	}
	assert.ok(process.resourceUsage().maxRSS - before < 100 * 1024);
});

test('zstd files of empty frames without end are refused, for each takes its time', async () => {
	const empty = zstdCompressSync(Buffer.alloc(0));
	const zstd: CompressionTransformation = { type: 'compression', format: 'zstd' };
	const { error } = await attempt(
		decompressor(zstd),
		Buffer.concat(Array.from({ length: 20_000 }, () => empty)),
	);
	assertLifeboatError(error, 'DAMAGED');
	assert.match(error.message, /very many frames/);
	const many = Array.from({ length: 1_200 }, () => zstdCompressSync(sampleBytes(1500)));
	assert.equal((await transformed(decompressor(zstd), Buffer.concat(many))).length, 1_200 * 1500);
});

test('zstd files of many parts, as other tools write them', async () => {
	const skippable = Buffer.from([0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4]);
	const part = await run('zstd', ['-c'], 'part ');
	const file = Buffer.concat([skippable, ...Array.from({ length: 200 }, () => part), skippable]);
	const zstd: CompressionTransformation = { type: 'compression', format: 'zstd' };
	assert.equal((await transformed(decompressor(zstd), file)).toString(), 'part '.repeat(200));
});

test('gzip files with a name, a comment and a header checksum are read', async () => {
	const plain = await transformed(createGzip(), Buffer.from('content'));
	// RFC 1952: flags FEXTRA, FNAME and FCOMMENT.
	const header = Buffer.concat([
		plain.subarray(0, 3),
		Buffer.from([0x1c]),
		plain.subarray(4, 10),
		Buffer.from([2, 0, 0xff, 0xff]),
		Buffer.from('name\0comment\0'),
	]);
	const gzip: CompressionTransformation = { type: 'compression', format: 'gzip' };
	const file = Buffer.concat([header, plain.subarray(10)]);
	assert.equal((await run('gzip', ['-d', '-c'], file)).toString(), 'content');
	assert.equal((await transformed(decompressor(gzip), file)).toString(), 'content');
});
