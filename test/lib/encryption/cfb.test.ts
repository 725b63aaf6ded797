import assert from 'node:assert/strict';
import { createCipheriv, randomBytes } from 'node:crypto';
import { test } from 'node:test';

import fc from 'fast-check';

import { decryptCfb } from '../../../lib/encryption/openpgp/cfb';
import { pieces, sampleBytes } from './helpers';

test('CFB is decrypted as OpenSSL encrypts it, at any length, however it is cut', async () => {
	const data = sampleBytes(200_000);
	const length = fc.oneof(fc.nat(100), fc.nat(data.length), fc.constantFrom(65_535, 65_536, 65_537, 131_072));
	await fc.assert(
		fc.asyncProperty(
			fc.constantFrom(16, 24, 32),
			length,
			fc.array(fc.nat()),
			async (keyLength, size, cuts) => {
				const key = randomBytes(keyLength);
				const cipher = createCipheriv(`aes-${keyLength * 8}-cfb`, key, Buffer.alloc(16));
				const ciphertext = cipher.update(data.subarray(0, size));
				async function* source(): AsyncGenerator<Buffer> {
					for (const piece of pieces(ciphertext, cuts)) {
						const lent = Buffer.from(piece);
						yield lent;
						// As a stream does that uses its memory again.
						lent.fill(0);
					}
				}
				const parts: Buffer[] = [];
				for await (const part of decryptCfb(key, source())) parts.push(Buffer.from(part));
				assert.ok(data.subarray(0, size).equals(Buffer.concat(parts)));
			},
		),
		{ numRuns: 100, seed: 1 },
	);
});
