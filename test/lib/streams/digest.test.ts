import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, test } from 'node:test';

import fc from 'fast-check';

import { DigestStream, sameDigest } from '../../../lib/streams/digest';
import { ExactLength } from '../../../lib/streams/exact-length';
import { assertLifeboatError, attempt, pieces, sampleBytes } from '../encryption/helpers';

const cuts = fc.array(fc.nat(), { maxLength: 20 });

describe('a digest', () => {
	test('is that of all bytes, which pass unchanged, however they are cut', async () => {
		await fc.assert(
			fc.asyncProperty(fc.nat({ max: 300_000 }), cuts, async (size, places) => {
				const data = sampleBytes(size);
				const stream = new DigestStream();
				const { released, error } = await attempt(stream, pieces(data, places));
				assert.equal(error, undefined);
				assert.ok(released.equals(data));
				assert.equal(stream.bytes, size);
				const expected = { size, sha256: createHash('sha256').update(data).digest('hex') };
				assert.deepEqual(stream.digest(), expected);
				assert.ok(sameDigest(stream.digest(), expected));
				const again = await attempt(new DigestStream({ ...expected, what: 'backup' }), pieces(data, places));
				assert.equal(again.error, undefined);
			}),
			{ numRuns: 50, seed: 3 },
		);
	});

	test('that differs from what was expected is a failure, never an end', async () => {
		const data = sampleBytes(1000);
		const expected = {
			size: 1000,
			sha256: createHash('sha256').update(data).digest('hex'),
			what: 'backup shop',
		};
		const other = Buffer.from(data);
		other[999]! ^= 1;
		for (const bytes of [
			other,
			data.subarray(1),
			data.subarray(0, 999),
			Buffer.concat([data, data]),
			Buffer.alloc(0),
		]) {
			const stream = new DigestStream(expected);
			const { error } = await attempt(stream, bytes);
			assertLifeboatError(error, 'CHECKSUM_MISMATCH');
			assert.match(error.message, /backup shop/);
			assert.throws(() => stream.digest(), { code: 'INCOMPLETE' });
		}
	});

	test('is not known before the end', () => {
		const stream = new DigestStream();
		stream.write('half');
		assert.throws(() => stream.digest(), { code: 'INCOMPLETE' });
	});
});

describe('an exact length', () => {
	test('lets exactly that many bytes pass, however they are cut', async () => {
		await fc.assert(
			fc.asyncProperty(
				fc.nat({ max: 5000 }),
				fc.integer({ min: -3, max: 3 }),
				cuts,
				async (size, off, places) => {
					const data = sampleBytes(size);
					const expected = Math.max(0, size + off);
					const { released, error } = await attempt(
						new ExactLength(expected, 'shop.sql'),
						pieces(data, places),
					);
					if (expected === size) {
						assert.equal(error, undefined);
						assert.ok(released.equals(data));
						return;
					}
					assertLifeboatError(error, 'INCOMPLETE');
					assert.match(error.message, /shop\.sql/);
				},
			),
			{ numRuns: 100, seed: 3 },
		);
	});
});
