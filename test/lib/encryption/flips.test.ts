import assert from 'node:assert/strict';
import { before, describe, test, type TestContext } from 'node:test';

import fc from 'fast-check';
import { generateKey } from 'openpgp';

import type { EncryptionTransformation } from '../../../lib/artifact/manifest';
import {
	createAgeIdentity,
	decryptor,
	encryptionEncoding,
	type EncryptionKeys,
	type EncryptionName,
	type EncryptionOptions,
} from '../../../lib/encryption/encryption';
import { Tag } from '../../../lib/encryption/openpgp/packets';
import { assertLifeboatError, attempt, sampleBytes, transformationOf, transformed } from './helpers';

/**
 * Tries every bit of the first and last 4 KiB, not a sample of them:
 * `LIFEBOAT_ALL_FLIPS=1 node --import tsx test/lib/encryption/flips.test.ts`, an hour or two; `--test-name-pattern=age` picks a format.
 */
const IS_EXHAUSTIVE = process.env.LIFEBOAT_ALL_FLIPS === '1';

const SIZE = 5 * 1000 * 1000;

const CHUNK = 64 * 1024;

const EDGE_BITS = 4096 * 8;

/** Bits tried of each edge unless all are. */
const SAMPLE = 24;

/** Has no divisor in common with EDGE_BITS: all bits get their turn, and each part of the turns is spread over all of them. */
const STEP = 20_011;

const RANDOM_PLACES = 200;

/** Files that are opened at the same time: of a message in OpenPGP a part of the work is done in another thread. */
const LANES = 2;

/** What a change there may be taken for, besides damage: a file for other keys, of another format or version. */
const headerCodes = ['KEY_MISSING', 'UNSUPPORTED_FORMAT', 'WRONG_KEY'];

interface Flip {
	place: number;
	bit: number;
}

interface Way {
	name: EncryptionName;
	title: string;
	options?: EncryptionOptions;
	keys: () => EncryptionKeys;
	/** Bytes before the first chunk. */
	headerLength: (file: Buffer) => number;
	/** Nothing is released before all of it is proven. */
	provenWhole?: boolean;
	/** The payload is that of another way. */
	headerOnly?: boolean;
}

describe('one bit flipped in a file of 5 MB', () => {
	let data: Buffer;
	let age: { identity: string; recipient: string };
	let pgp: { publicKey: string; privateKey: string };

	before(async () => {
		data = sampleBytes(SIZE);
		age = await createAgeIdentity();
		pgp = await generateKey({ userIDs: [{ name: 'x' }], format: 'armored' });
	});

	const endOfAgeHeader = (file: Buffer) => file.indexOf('\n', file.indexOf('\n---') + 1) + 1 + 16;
	const ways: Way[] = [
		{
			...{ name: 'age', title: 'age for a recipient', headerLength: endOfAgeHeader },
			keys: () => ({ recipients: [age.recipient], identities: [age.identity] }),
		},
		{
			...{ name: 'age', title: 'age with a passphrase', headerLength: endOfAgeHeader, headerOnly: true },
			...{ options: { scryptLogN: 10 }, keys: () => ({ passphrase: 'x' }) },
		},
		{
			...{ name: 'aes-256-gcm', title: 'AES-256-GCM', headerLength: () => 80 },
			...{ options: { kdf: 'scrypt', scryptLogN: 10 }, keys: () => ({ passphrase: 'x' }) },
		},
		{
			...{ name: 'openpgp', title: 'OpenPGP for a key', headerLength: endOfOpenPgpHeader, provenWhole: true },
			keys: () => ({ openpgp: { publicKeys: [pgp.publicKey], privateKeys: [pgp.privateKey] } }),
		},
	];

	for (const way of ways) {
		describe(way.title, () => {
			let transformation: EncryptionTransformation;
			let file: Buffer;

			before(async () => {
				const { recipients, passphrase, openpgp } = way.keys();
				const targets = {
					...(recipients && { recipients }),
					...(passphrase !== undefined && { passphrase }),
					...(openpgp && { openpgp }),
				};
				const encoding = await encryptionEncoding(way.name, targets, way.options);
				transformation = transformationOf(encoding);
				file = await transformed(await encoding.createTransform(), data);
			});

			/** It must be refused before anything of its chunk comes out. */
			const flip = async (lane: Buffer, { place, bit }: Flip) => {
				const headerLength = way.headerLength(file);
				lane[place]! ^= 1 << bit;
				const { released, error } = await attempt(
					await decryptor(transformation, way.keys()),
					slicesOf(lane),
				);
				lane[place]! ^= 1 << bit;
				assertLifeboatError(error, 'DAMAGED', ...(place < headerLength ? headerCodes : []));
				const chunk = Math.max(0, Math.floor((place - headerLength) / (CHUNK + 16)));
				const intact = way.provenWhole ? 0 : chunk * CHUNK;
				assert.ok(
					released.length <= intact,
					`bit ${bit} of byte ${place}: ${released.length} bytes came out`,
				);
				assert.ok(released.equals(data.subarray(0, released.length)), `bit ${bit} of byte ${place}`);
			};
			const flipAll = async (t: TestContext, flips: readonly Flip[]) => {
				const queue = flips.values();
				let done = 0;
				const work = async () => {
					const lane = Buffer.from(file);
					for (const each of queue) {
						await flip(lane, each);
						done += 1;
						// It would take hours to show otherwise.
						if (done % 1024 === 0) process.stderr.write(`${t.name}: ${done} of ${flips.length} refused\n`);
					}
				};
				await Promise.all(Array.from({ length: LANES }, work));
				assert.equal(done, flips.length);
				t.diagnostic(`${done} bits flipped: all refused, nothing of their chunk released`);
			};

			if (way.headerOnly) {
				test('in its header', (t) => flipAll(t, flipsIn(0, way.headerLength(file) * 8)));
				return;
			}
			test('in its first 4 KiB', (t) => flipAll(t, flipsIn(0, EDGE_BITS)));
			test('in its last 4 KiB', (t) => flipAll(t, flipsIn(file.length - EDGE_BITS / 8, EDGE_BITS)));
			test(`in ${RANDOM_PLACES} random places`, (t) => {
				const places = fc.record({ place: fc.integer({ min: 0, max: file.length - 1 }), bit: fc.nat(7) });
				return flipAll(t, fc.sample(places, { numRuns: RANDOM_PLACES, seed: 5 }));
			});
		});
	}
});

/** All of these bits, or a sample of them. */
function flipsIn(start: number, bits: number): Flip[] {
	return Array.from({ length: IS_EXHAUSTIVE ? bits : SAMPLE }, (_, turn) => {
		const bit = (turn * STEP) % bits;
		return { place: start + (bit >> 3), bit: bit & 7 };
	});
}

/** As it comes from a file: nothing behind the refusal is read. */
function slicesOf(file: Buffer): Buffer[] {
	const size = 128 * 1024;
	return Array.from({ length: Math.ceil(file.length / size) }, (_, index) =>
		file.subarray(index * size, (index + 1) * size),
	);
}

/** Where an OpenPGP message has told key and version: with the first bytes of the packet with the data. All lengths before have one byte. */
function endOfOpenPgpHeader(file: Buffer): number {
	let end = 0;
	while (file[end] !== (0xc0 | Tag.encrypted)) end += 2 + file[end + 1]!;
	return end + 22;
}
