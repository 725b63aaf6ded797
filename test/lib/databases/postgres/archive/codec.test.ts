import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import fc from 'fast-check';

import { ByteQueue } from '../../../../../lib/databases/postgres/archive/byte-queue';
import { Encoder } from '../../../../../lib/databases/postgres/archive/toc-writer';

import { pieces } from './fixture';

const encoded = (write: (out: Encoder) => void, encoding: 'utf8' | 'latin1' = 'utf8') => {
	const out = new Encoder(encoding);
	write(out);
	return Buffer.from(out.result());
};

describe('values of the archive format', () => {
	test('integers of 32 bits come back, in a sign byte and four bytes with the least significant first', async () => {
		assert.deepEqual([...encoded((out) => out.int(0x01020304))], [0, 4, 3, 2, 1]);
		assert.deepEqual([...encoded((out) => out.int(-1))], [1, 1, 0, 0, 0]);
		assert.deepEqual([...encoded((out) => out.int(-(2 ** 31)))], [1, 0, 0, 0, 0x80]);
		await fc.assert(
			fc.asyncProperty(fc.array(fc.integer()), fc.integer({ min: 1, max: 9 }), async (values, size) => {
				const bytes = encoded((out) => values.forEach((value) => out.int(value)));
				assert.equal(bytes.length, values.length * 5);
				const queue = new ByteQueue(pieces(bytes, size));
				for (const value of values) assert.equal(await queue.parse('a number', (c) => c.int()), value);
				assert.ok(await queue.atEnd());
				assert.equal(queue.offset, bytes.length);
			}),
		);
	});

	test('what is no integer of 32 bits is neither written nor read', async () => {
		for (const value of [2 ** 31, -(2 ** 31) - 1, 1.5, NaN, Infinity]) {
			assert.throws(() => encoded((out) => out.int(value)), RangeError);
		}
		for (const bytes of ['0000000080', '01 01000080', '0100000000', '02 01000000', 'ff01000000']) {
			const queue = new ByteQueue(pieces(Buffer.from(bytes.replaceAll(' ', ''), 'hex')));
			await assert.rejects(
				queue.parse('a number', (c) => c.int()),
				{ code: 'ARCHIVE_DAMAGED' },
			);
		}
	});

	test('texts come back, null and empty told apart, in pieces of any size', async () => {
		const text = fc.oneof(
			fc.constant(null),
			fc.string({ unit: 'binary' }).filter((value) => !value.includes('\0')),
		);
		await fc.assert(
			fc.asyncProperty(
				fc.array(text, { maxLength: 8 }),
				fc.integer({ min: 1, max: 9 }),
				async (values, size) => {
					const bytes = encoded((out) => values.forEach((value) => out.text(value)));
					const queue = new ByteQueue(pieces(bytes, size));
					const read = await queue.parse('texts', (c) =>
						values.map(() => c.text()?.toString('utf8') ?? null),
					);
					assert.deepEqual(read, values);
				},
			),
		);
	});

	test('texts in a single-byte encoding keep their bytes', () => {
		assert.deepEqual([...encoded((out) => out.text('\xe4\xff'), 'latin1')], [0, 2, 0, 0, 0, 0xe4, 0xff]);
		assert.throws(() => encoded((out) => out.text('€'), 'latin1'), RangeError);
		assert.throws(() => encoded((out) => out.text('a\0b')), RangeError);
	});

	test('file offsets come back', async () => {
		const offset = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
		await fc.assert(
			fc.asyncProperty(offset, fc.integer({ min: 1, max: 3 }), async (value, state) => {
				const bytes = encoded((out) => out.fileOffset(state, value));
				assert.equal(bytes.length, 9);
				const queue = new ByteQueue(pieces(bytes, 2));
				assert.deepEqual(await queue.parse('an offset', (c) => c.fileOffset()), { state, value });
			}),
		);
		const queue = new ByteQueue(pieces(Buffer.from('02ffffffffffffff7f', 'hex')));
		await assert.rejects(
			queue.parse('an offset', (c) => c.fileOffset()),
			{ code: 'ARCHIVE_DAMAGED' },
		);
	});

	test('what ends too early names what is missing and where', async () => {
		const queue = new ByteQueue(pieces(encoded((out) => out.text('abcdef')).subarray(0, 8), 3));
		await assert.rejects(
			queue.parse('the name', (c) => c.text()),
			{ code: 'ARCHIVE_DAMAGED', message: /byte 8: it ends in the middle of the name/ },
		);
	});
});
