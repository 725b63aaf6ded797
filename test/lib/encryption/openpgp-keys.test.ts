import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import * as openpgp from 'openpgp';

import { decryptor, encryptionEncoding } from '../../../lib/encryption/encryption';
import { isCanonical } from '../../../lib/encryption/openpgp/canonical';
import { GnuPg } from './gpg-command';
import { assertLifeboatError, sampleBytes, transformed } from './helpers';

const foreign = { type: 'encryption', format: 'openpgp' } as const;

describe('OpenPGP keys of the kinds that gpg makes', () => {
	let gpg: GnuPg;
	before(async () => {
		gpg = await GnuPg.create();
	});
	after(() => gpg?.close());

	for (const curve of ['nistp256', 'nistp384', 'nistp521']) {
		test(`${curve}: both ways, with a signature`, async () => {
			const { publicKey, privateKey, fingerprint } = await gpg.makeKey(curve, [curve, curve]);
			const keys = { publicKeys: [publicKey], privateKeys: [privateKey], signingKeys: [privateKey] };
			const encoding = await encryptionEncoding('openpgp', { openpgp: keys });
			const data = sampleBytes(70_000);
			const ours = await transformed(await encoding.createTransform(), data);
			const { output, said } = await gpg.try(['--decrypt'], ours);
			assert.ok(data.equals(output), said);
			assert.match(said, /Good signature/);
			const theirs = await gpg.run(['--encrypt', '--sign', '-u', fingerprint, '-r', fingerprint], data);
			const opener = await decryptor({ ...foreign, signedBy: [fingerprint] }, { openpgp: keys });
			assert.ok(data.equals(await transformed(opener, theirs)));
		});
	}

	test('others are refused before any data flows, and it is said which would do', async () => {
		const { publicKey } = await gpg.makeKey('koblitz', ['secp256k1', 'secp256k1']);
		await assert.rejects(encryptionEncoding('openpgp', { openpgp: { publicKeys: [publicKey] } }), (error) => {
			assertLifeboatError(error, 'INVALID_KEY');
			assert.match(error.hint!, /RSA, Curve25519, NIST P-256, P-384 or P-521/);
			return true;
		});
	});
});

describe('a packet with a session key', () => {
	const packetFor = async (options: object): Promise<Buffer> => {
		const { publicKey } = await openpgp.generateKey({
			userIDs: [{ name: 'x' }],
			format: 'object',
			...options,
		});
		const packet = await openpgp.encryptSessionKey({
			...{
				data: new Uint8Array(32).fill(7),
				algorithm: 'aes256',
				encryptionKeys: publicKey,
				format: 'binary',
			},
		});
		return Buffer.from(packet.subarray(packet[1]! < 192 ? 2 : 3));
	};

	test('is taken as programs write it, and with none of the bits changed that readers pass over', async () => {
		const kinds: [string, object, number[]][] = [
			// The three lowest bits of the number of bits; the highest one of the point.
			['Curve25519', { type: 'ecc', curve: 'ed25519Legacy' }, [11 * 8, 11 * 8 + 1, 11 * 8 + 2, 44 * 8 + 7]],
			['X25519', { type: 'curve25519' }, [41 * 8 + 7]],
			['NIST P-256', { type: 'ecc', curve: 'nistP256' }, [11 * 8, 11 * 8 + 1, 11 * 8 + 2]],
			['RSA', { type: 'rsa', rsaBits: 2048 }, [11 * 8]],
		];
		for (const [kind, options, bits] of kinds) {
			const body = await packetFor(options);
			assert.ok(isCanonical(body), kind);
			for (const bit of bits) {
				const changed = Buffer.from(body);
				changed[bit >> 3]! ^= 1 << (bit & 7);
				assert.ok(!isCanonical(changed), `${kind}: bit ${bit}`);
			}
			// One that ends anywhere else is left to what opens it, or refused: it must not break what reads it.
			for (let end = 0; end < body.length; end++) isCanonical(body.subarray(0, end));
		}
	});

	test('of two numbers, or of a kind that is not known, is read as such', () => {
		const elGamal = (...numbers: number[][]) => Buffer.from([3, ...Buffer.alloc(8), 16, ...numbers.flat()]);
		assert.ok(isCanonical(elGamal([0, 9, 1, 255], [0, 1, 1])));
		assert.ok(!isCanonical(elGamal([0, 10, 1, 255], [0, 1, 1])));
		assert.ok(!isCanonical(elGamal([0, 9, 1, 255], [0, 2, 1])));
		assert.ok(!isCanonical(elGamal([0, 9, 1, 255])));
		assert.ok(!isCanonical(elGamal([0, 9, 1, 255], [0, 1, 1], [0])));
		for (const algorithm of [26, 35, 99])
			assert.ok(isCanonical(Buffer.from([3, ...Buffer.alloc(8), algorithm, 0])));
		assert.ok(isCanonical(Buffer.from([6, 0])));
	});
});
