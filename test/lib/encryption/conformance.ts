import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';

import fc from 'fast-check';

import {
	decryptor,
	encryptionEncoding,
	type EncryptionKeys,
	type EncryptionName,
	type EncryptionOptions,
	type EncryptionTargets,
} from '../../../lib/encryption/encryption';
import type { Encoding } from '../../../lib/artifact/transform';
import { assertLifeboatError, attempt, pieces, sampleBytes, transformationOf, transformed } from './helpers';

const PLAIN = 64 * 1024;
const SEALED = PLAIN + 16;

/** Fixed, so that a failure comes again. */
const SEED = 20_261_121;

/** One way of encrypting, with the cheapest key derivation there is. */
export interface Subject {
	name: EncryptionName;
	targets: EncryptionTargets;
	options?: EncryptionOptions;
	/** What opens it. */
	keys: EncryptionKeys;
	/** Keys of the right kind that don't open it. */
	wrongKeys: EncryptionKeys;
	/** Bytes before the first chunk of a file. */
	headerLength(file: Buffer): number;
	/** Leave out the flips in the payload's first and last bytes, which another way with the same payload tries. */
	brief?: boolean;
	/** Deriving the key takes long even at its cheapest: try fewer of the cases that another way with the same header tries whole. */
	costly?: boolean;
	/** Not in chunks: nothing at all is released before the end has proven all of it. */
	provenWhole?: boolean;
}

/** What every format of encryption has to do. */
export function testEncryption(makeSubject: () => Promise<Subject> | Subject, title: string): void {
	describe(title, () => {
		let subject: Subject;
		let encoding: Encoding;
		const encrypt = async (data: Buffer | Buffer[]) => transformed(await encoding.createTransform(), data);
		const opener = async () => decryptor(transformationOf(encoding), subject.keys);
		const decrypt = async (data: Buffer | Buffer[]) => transformed(await opener(), data);

		/** Tries to open what was tampered with: it must fail, and release only what comes before. */
		const refuse = async (file: Buffer, plaintext: Buffer, intact: number, what: string) => {
			const { released, error } = await attempt(await opener(), file);
			const intactChunks = subject.provenWhole ? 0 : intact;
			assertLifeboatError(error, 'DAMAGED', 'WRONG_KEY', 'UNSUPPORTED_FORMAT', 'KEY_MISSING');
			assert.ok(released.length <= intactChunks * PLAIN, `${what}: released ${released.length} bytes`);
			assert.ok(released.equals(plaintext.subarray(0, released.length)), `${what}: released other bytes`);
		};
		const parts = (file: Buffer) => {
			const start = subject.headerLength(file);
			const chunks: Buffer[] = [];
			for (let at = start; at < file.length; at += SEALED) chunks.push(file.subarray(at, at + SEALED));
			return { header: file.subarray(0, start), chunks };
		};

		before(async () => {
			subject = await makeSubject();
			encoding = await encryptionEncoding(subject.name, subject.targets, subject.options);
		});

		test('gives back the same bytes at every length around the borders', async () => {
			const sizes = [0, 1, 2, 15, 16, 17, 1000];
			for (const chunks of [1, 2, 5]) {
				for (const near of [-17, -16, -1, 0, 1, 16, 17]) sizes.push(chunks * PLAIN + near);
			}
			for (const size of sizes) {
				const data = sampleBytes(size);
				const file = await encrypt(data);
				const chunks = Math.max(1, Math.ceil(size / PLAIN));
				if (!subject.provenWhole)
					assert.equal(file.length, subject.headerLength(file) + size + 16 * chunks, `${size} bytes`);
				assert.ok(data.equals(await decrypt(file)), `${size} bytes`);
			}
		});

		test('gives back the same bytes however they are cut', async () => {
			const cuts = fc.array(fc.nat(), { maxLength: 30 });
			await fc.assert(
				fc.asyncProperty(fc.nat({ max: 3 * PLAIN }), cuts, cuts, async (size, writing, reading) => {
					const data = sampleBytes(size);
					const file = await encrypt(pieces(data, writing));
					assert.ok(data.equals(await decrypt(pieces(file, reading))));
				}),
				{ numRuns: subject.costly ? 15 : 60, seed: SEED },
			);
			const data = sampleBytes(300);
			const bytes = (of: Buffer) => Array.from(of, (_, index) => of.subarray(index, index + 1));
			assert.ok(data.equals(await decrypt(bytes(await encrypt(bytes(data))))), 'byte by byte');
		});

		test('makes another file each time', async () => {
			const data = sampleBytes(100);
			const [one, two] = await Promise.all([encrypt(data), encrypt(data)]);
			assert.ok(!one.subarray(subject.headerLength(one)).equals(two.subarray(subject.headerLength(two))));
		});

		test('refuses other keys, before it releases anything', async () => {
			const file = await encrypt(sampleBytes(1000));
			const { released, error } = await attempt(
				await decryptor(transformationOf(encoding), subject.wrongKeys),
				file,
			);
			assertLifeboatError(error, 'WRONG_KEY');
			assert.equal(released.length, 0);
		});

		test('refuses a changed bit in the header, in the first and last 4 KiB and anywhere', async () => {
			const data = sampleBytes(3 * PLAIN + 5000);
			const file = await encrypt(data);
			const { header } = parts(file);
			const flip = async (place: number, bit: number) => {
				const changed = Buffer.from(file);
				changed[place]! ^= 1 << bit;
				const chunk = Math.floor((place - header.length) / SEALED);
				const what = `bit ${bit} of byte ${place}`;
				await refuse(changed, data, Math.max(0, chunk), what);
			};
			for (let place = 0; place < header.length; place++) {
				for (let bit = 0; bit < 8; bit++) {
					if (!subject.costly || bit === place % 8) await flip(place, bit);
				}
			}
			const near = subject.brief ? 0 : 4096;
			// Each bit of these has its turn in the tests of the chunks themselves, without a header before them.
			for (let place = header.length; place < near; place += 3) await flip(place, place % 8);
			for (let place = file.length - near; place < file.length; place += 3) await flip(place, place % 8);
			for (const [place, bit] of fc.sample(fc.tuple(fc.nat(file.length - 1), fc.nat(7)), {
				numRuns: subject.costly ? 40 : 200,
				seed: SEED,
			})) {
				await flip(place, bit);
			}
		});

		test('refuses a file that ends too early, at every border and beside it', async () => {
			for (const size of [3 * PLAIN, 3 * PLAIN + 100]) {
				const data = sampleBytes(size);
				const file = await encrypt(data);
				const { header, chunks } = parts(file);
				const ends = new Set([0, 1, header.length - 17, header.length - 16, header.length - 1]);
				for (let end = header.length; end < file.length; end += SEALED) {
					for (const near of [-17, -16, -1, 0, 1, 15, 16, 17, 1000]) ends.add(end + near);
				}
				ends.add(file.length - 1).add(file.length - 16);
				for (const end of ends) {
					if (end >= file.length) continue;
					const whole = Math.max(0, Math.ceil((end - header.length) / SEALED) - 1);
					await refuse(file.subarray(0, end), data, Math.min(whole, chunks.length - 1), `cut at ${end}`);
				}
			}
		});

		test('refuses chunks that were moved, repeated, dropped or added', async () => {
			for (const size of [3 * PLAIN, 3 * PLAIN + 100]) {
				const data = sampleBytes(size);
				const file = await encrypt(data);
				const { header, chunks } = parts(file);
				const other = parts(await encrypt(data));
				const [a, b, c, ...rest] = chunks as [Buffer, Buffer, Buffer];
				const cases: [string, Buffer[], number][] = [
					['swapped', [b, a, c, ...rest], 0],
					['swapped later', [a, c, b, ...rest], 1],
					['repeated', [a, a, b, c, ...rest], 1],
					['first one dropped', [b, c, ...rest], 0],
					['one dropped', [a, c, ...rest], 1],
					['one of another file', [a, other.chunks[1]!, c, ...rest], 1],
					['last one repeated', [...chunks, chunks.at(-1)!], chunks.length - 1],
					['bytes appended', [...chunks, Buffer.alloc(1)], chunks.length - 1],
					['zeros appended', [...chunks, Buffer.alloc(SEALED)], chunks.length - 1],
					['the file itself appended', [...chunks, file], chunks.length - 1],
					['the header of another file', [], 0],
				];
				for (const [what, order, intact] of cases)
					await refuse(Buffer.concat([header, ...order]), data, intact, what);
				await refuse(Buffer.concat([other.header, ...chunks]), data, 0, 'the payload of another file');
			}
		});

		test('refuses what is no such file', async () => {
			const none = Buffer.alloc(0);
			for (const bytes of [
				none,
				Buffer.from('x'),
				Buffer.from('-----BEGIN'),
				sampleBytes(10),
				sampleBytes(200_000),
			]) {
				await refuse(bytes, none, 0, `${bytes.length} bytes`);
			}
		});

		test('lets other work go on while it handles a huge write', async () => {
			const data = sampleBytes(1024 * 1024);
			const huge = Buffer.concat(Array.from({ length: 64 }, () => data));
			const transform = await encoding.createTransform();
			transform.resume();
			let turns = 0;
			let done = false;
			const turn = () => {
				turns++;
				if (!done) setImmediate(turn);
			};
			setImmediate(turn);
			await new Promise<void>((resolve, reject) => {
				transform.on('error', reject);
				transform.write(huge, () => resolve());
			});
			done = true;
			transform.destroy();
			assert.ok(turns >= 32, `the event loop had ${turns} turns`);
		});

		test('stops when it is destroyed', async () => {
			const transform = await encoding.createTransform();
			const closed = new Promise<void>((resolve) => transform.on('close', resolve));
			transform.on('error', () => undefined);
			transform.write(Buffer.alloc(8 * 1024 * 1024));
			transform.destroy(new Error('cancelled'));
			await closed;
		});
	});
}
