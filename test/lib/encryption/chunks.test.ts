import assert from 'node:assert/strict';
import { createCipheriv, randomBytes, type CipherGCMTypes } from 'node:crypto';
import { describe, test } from 'node:test';

import { CHUNK_SIZE, openChunks, payloadCipher, sealChunks } from '../../../lib/encryption/chunks';
import { sampleBytes } from './helpers';

for (const algorithm of ['chacha20-poly1305', 'aes-256-gcm'] as const) {
	describe(`chunks sealed with ${algorithm}`, () => {
		const cipher = payloadCipher(algorithm, new Uint8Array(randomBytes(32)).buffer);
		const seal = (data: Buffer) => {
			const coder = sealChunks(cipher);
			return Buffer.concat([...coder.update(data), coder.final()]);
		};
		/** One chunk, by the book. */
		const sealed = (data: Buffer, number: number, mark: number) => {
			const nonce = Buffer.concat([Buffer.alloc(10), Buffer.from([number, mark])]);
			const sealer = createCipheriv(algorithm as CipherGCMTypes, cipher.key, nonce, { authTagLength: 16 });
			return Buffer.concat([sealer.update(data), sealer.final(), sealer.getAuthTag()]);
		};
		const open = (sealed: Buffer) => {
			const coder = openChunks(cipher);
			return Buffer.concat([...coder.update(sealed), coder.final()]);
		};

		test('every bit of the first and last 4 KiB counts', () => {
			const payload = seal(sampleBytes(CHUNK_SIZE + 5000));
			assert.equal(open(payload).length, CHUNK_SIZE + 5000);
			for (let place = 0; place < payload.length; place++) {
				if (place === 4096) place = payload.length - 4096;
				for (let bit = 0; bit < 8; bit++) {
					payload[place]! ^= 1 << bit;
					assert.throws(() => open(payload), { code: 'DAMAGED' }, `bit ${bit} of byte ${place}`);
					payload[place]! ^= 1 << bit;
				}
			}
		});

		test('an empty last chunk is refused unless the payload is empty', () => {
			assert.equal(open(seal(Buffer.alloc(0))).length, 0);
			// As a careless writer would make it: a full chunk that is not marked, then an empty one that is.
			const full = sampleBytes(CHUNK_SIZE);
			const payload = Buffer.concat([sealed(full, 0, 0), sealed(Buffer.alloc(0), 1, 1)]);
			assert.throws(() => open(payload), { code: 'DAMAGED' });
			// The same two, whole: so it is the emptiness that was refused.
			assert.equal(
				open(Buffer.concat([sealed(full, 0, 0), sealed(Buffer.alloc(1), 1, 1)])).length,
				CHUNK_SIZE + 1,
			);
		});

		test('a marked chunk is the end, and only it', () => {
			const full = sampleBytes(CHUNK_SIZE);
			for (const [first, second] of [
				[1, 1],
				[1, 0],
				[0, 0],
			] as const) {
				const payload = Buffer.concat([sealed(full, 0, first), sealed(full, 1, second)]);
				assert.throws(() => open(payload), { code: 'DAMAGED' }, `marks ${first} and ${second}`);
			}
		});
	});
}
