import assert from 'node:assert/strict';
import { mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable, Transform } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { after, before, describe, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';

import fc from 'fast-check';

import { openFile } from '../../../lib/artifact/file-artifact';
import { createAgeIdentity, decryptor, encryptionEncoding } from '../../../lib/encryption/encryption';
import { writeFileAtomically } from '../../../lib/streams/atomic-file';
import { BufferPool } from '../../../lib/streams/buffer-pool';
import { chain } from '../../../lib/streams/chain';
import { DigestStream } from '../../../lib/streams/digest';
import { FileReader } from '../../../lib/streams/file-reader';
import { FileWriter } from '../../../lib/streams/file-writer';
import { readToEnd } from '../../../lib/streams/read-to-end';
import { acceptOffer, offer, passesOn } from '../../../lib/streams/neighbours';
import { pieces, sampleBytes } from '../encryption/helpers';

const SIZE = 12_000_000;

let folder: string;
let data: Buffer;
const path = (name: string) => join(folder, name);

before(async () => {
	folder = await mkdtemp(join(tmpdir(), 'lifeboat-recycling-'));
	data = sampleBytes(SIZE);
	await writeFile(path('data'), data);
});

after(async () => rm(folder, { recursive: true, force: true }));

/** Hands on what it gets, and notes the memory behind it. */
function watch(seen: Set<ArrayBufferLike>): Transform {
	const stage = new Transform({
		transform(chunk: Buffer, _encoding, callback) {
			seen.add(chunk.buffer);
			callback(null, chunk);
		},
	});
	passesOn(stage);
	return stage;
}

describe('a pool of buffers', () => {
	const lender = (pool: BufferPool) => {
		const stream = new Readable({ read() {} });
		offer(stream, { pool });
		return stream;
	};

	test('hands out again only what came back whole, and once', () => {
		const pool = new BufferPool(100);
		const { giveBack } = acceptOffer(lender(pool))!;
		const first = pool.take(10);
		const piece = pool.lend(first, 60);
		assert.deepEqual([first.length, piece.length], [100, 60]);
		for (const other of [piece.subarray(0, 30), Buffer.from(piece), Buffer.alloc(100), first])
			giveBack(other);
		assert.notEqual(pool.take(10).buffer, first.buffer);
		giveBack(piece);
		giveBack(piece);
		assert.equal(pool.take(10).buffer, first.buffer);
		assert.notEqual(pool.take(10).buffer, first.buffer);
	});

	test('takes no more memory than is needed while nobody gives anything back', () => {
		const pool = new BufferPool(100);
		assert.equal(pool.take(10).length, 10);
		acceptOffer(lender(pool));
		assert.equal(pool.take(10).length, 100);
	});

	test('has one reader that gives back', () => {
		const stream = lender(new BufferPool(100));
		assert.ok(acceptOffer(stream));
		assert.equal(acceptOffer(stream), undefined);
	});
});

describe('streams that recycle memory', () => {
	test('need little of it from file to file, and change no byte', async () => {
		const { identity, recipient } = await createAgeIdentity();
		const encoding = await encryptionEncoding('age', { recipients: [recipient] });
		for (const [from, to, transform] of [
			['data', 'sealed', () => encoding.createTransform()],
			[
				'sealed',
				'opened',
				() => decryptor({ type: 'encryption', format: 'age' }, { identities: [identity] }),
			],
		] as const) {
			const [read, made] = [new Set<ArrayBufferLike>(), new Set<ArrayBufferLike>()];
			const stages = [watch(read), await transform(), watch(made), new DigestStream()];
			await writeFileAtomically(path(to), chain(await openFile(path(from)), stages));
			// All of it in fresh memory would be some fifty buffers.
			assert.ok(read.size < 10 && made.size < 20, `${read.size} and ${made.size} buffers`);
		}
		assert.ok(data.equals(await readFile(path('opened'))));
	});

	test('leave alone what a stage between them keeps', async () => {
		const kept: Buffer[] = [];
		const keeper = new Transform({
			transform(chunk: Buffer, _encoding, callback) {
				kept.push(chunk);
				callback(null, chunk);
			},
		});
		await readToEnd(chain(await openFile(path('data')), [keeper, new DigestStream()]));
		assert.ok(data.equals(Buffer.concat(kept)));
	});

	test('leave alone what a reader keeps that gives nothing back', async () => {
		assert.ok(data.equals(await buffer(chain(await openFile(path('data')), [new DigestStream()]))));
	});

	test('give all bytes in order to who reads them to the end', async () => {
		const digest = new DigestStream();
		const copies: Buffer[] = [];
		const stream = chain(await openFile(path('data')), [digest]);
		await readToEnd(stream, (chunk) => copies.push(Buffer.from(chunk)));
		assert.ok(data.equals(Buffer.concat(copies)));
		assert.equal(digest.digest().size, SIZE);
	});
});

describe('a file that is read', () => {
	test('gives any range of its bytes', async () => {
		const place = fc.nat(SIZE - 1);
		await fc.assert(
			fc.asyncProperty(fc.tuple(place, place), async ([one, other]) => {
				const [start, end] = [Math.min(one, other), Math.max(one, other)];
				assert.ok(
					data.subarray(start, end + 1).equals(await buffer(await openFile(path('data'), { start, end }))),
				);
			}),
			{
				numRuns: 20,
				seed: 1,
				examples: [[[0, 0]], [[SIZE - 1, SIZE - 1]], [[0, SIZE - 1]], [[262_143, 262_144]]],
			},
		);
		assert.ok(data.subarray(7).equals(await buffer(await openFile(path('data'), { start: 7 }))));
		assert.ok(data.subarray(0, 8).equals(await buffer(await openFile(path('data'), { end: 7 }))));
	});

	test('is closed at its end, and when it is given up in the middle of a read', async () => {
		await writeFile(path('empty'), '');
		const empty = await open(path('empty'), 'r');
		assert.equal((await buffer(new FileReader(empty))).length, 0);
		await turn();
		assert.equal(empty.fd, -1);

		const handle = await open(path('data'), 'r');
		const reader = new FileReader(handle);
		reader.resume();
		await turn();
		const closed = new Promise((resolve) => reader.once('close', resolve));
		reader.destroy();
		await closed;
		assert.equal(handle.fd, -1);
	});

	test('is read on while a piece is worked on', async () => {
		const handle = await open(path('data'), 'r');
		const read = handle.read.bind(handle) as (...args: unknown[]) => unknown;
		let reads = 0;
		Object.assign(handle, { read: (...args: unknown[]) => (reads++, read(...args)) });
		const reader = new FileReader(handle, { start: 0 });
		let pieces = 0;
		reader.on('data', () => {
			pieces += 1;
			assert.ok(reads > pieces || pieces * 262_144 > SIZE, `${reads} reads for ${pieces} pieces`);
		});
		await new Promise((resolve) => reader.on('close', resolve));
		assert.equal(pieces, Math.ceil(SIZE / 262_144));
	});

	test('fails as its reads do', async () => {
		const handle = await open(path('unreadable'), 'w');
		await assert.rejects(buffer(new FileReader(handle)), { code: 'EBADF' });
		assert.equal(handle.fd, -1);
	});
});

describe('a file that is written', () => {
	test('holds all bytes, however they come', async () => {
		let count = 0;
		await fc.assert(
			fc.asyncProperty(fc.array(fc.nat(), { maxLength: 40 }), fc.boolean(), async (cuts, sync) => {
				const target = path(`written ${count++}`);
				const cut = pieces(data, cuts);
				await pipeline(
					Readable.from([...cut, Buffer.alloc(0)]),
					new FileWriter(target, { mode: 0o600, sync }),
				);
				assert.ok(data.equals(await readFile(target)));
				await rm(target);
			}),
			{ numRuns: 15, seed: 1 },
		);
	});

	test('is never one that was there', async () => {
		await writeFile(path('there'), 'as it was');
		await assert.rejects(pipeline([data], new FileWriter(path('there'), { mode: 0o600, sync: false })), {
			code: 'EEXIST',
		});
		assert.equal(await readFile(path('there'), 'utf8'), 'as it was');
	});
});
