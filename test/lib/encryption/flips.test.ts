import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';

import fc from 'fast-check';
import { generateKey } from 'openpgp';

import {
	createAgeIdentity,
	decryptor,
	encryptionEncoding,
	type EncryptionKeys,
	type EncryptionName,
} from '../../../lib/encryption/encryption';
import { assertLifeboatError, attempt, sampleBytes, transformationOf, transformed } from './helpers';

const SIZE = 5 * 1000 * 1000;

const CHUNK = 64 * 1024;

/** Bits flipped in random places of a large file: the conformance suite tries every place of small ones. */
describe('a bit flipped anywhere in a file of 5 MB', () => {
	let data: Buffer;
	let age: { identity: string; recipient: string };
	let pgp: { publicKey: string; privateKey: string };

	before(async () => {
		data = sampleBytes(SIZE);
		age = await createAgeIdentity();
		pgp = await generateKey({ userIDs: [{ name: 'x' }], format: 'armored' });
	});

	const ways: [EncryptionName, () => { targets: EncryptionKeys; keys: EncryptionKeys }][] = [
		['age', () => ({ targets: { recipients: [age.recipient] }, keys: { identities: [age.identity] } })],
		['aes-256-gcm', () => ({ targets: { passphrase: 'x' }, keys: { passphrase: 'x' } })],
		[
			'openpgp',
			() => ({
				targets: { openpgp: { publicKeys: [pgp.publicKey] } },
				keys: { openpgp: { privateKeys: [pgp.privateKey] } },
			}),
		],
	];
	for (const [name, make] of ways) {
		test(name, async () => {
			const { targets, keys } = make();
			const options = name === 'aes-256-gcm' ? ({ kdf: 'scrypt', scryptLogN: 10 } as const) : {};
			const encoding = await encryptionEncoding(name, targets, options);
			const file = await transformed(await encoding.createTransform(), data);
			// Behind the header of each format; every bit of headers is flipped elsewhere.
			const places = fc.sample(fc.tuple(fc.integer({ min: 400, max: file.length - 1 }), fc.nat(7)), {
				numRuns: 200,
				seed: 5,
			});
			for (const [place, bit] of places) {
				file[place]! ^= 1 << bit;
				const { released, error } = await attempt(await decryptor(transformationOf(encoding), keys), file);
				file[place]! ^= 1 << bit;
				assertLifeboatError(error, 'DAMAGED');
				const intact = name === 'openpgp' ? 0 : Math.floor(place / (CHUNK + 16)) * CHUNK;
				assert.ok(released.length <= intact, `bit ${bit} of byte ${place}`);
				assert.ok(released.equals(data.subarray(0, released.length)));
			}
		});
	}
});
