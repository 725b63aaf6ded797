import assert from 'node:assert/strict';
import { test } from 'node:test';

import fc from 'fast-check';

import { countNewlines } from '../../../../../../lib/databases/postgres/restore/sql/newlines';

test('line breaks are counted as a plain loop counts them, from any index and alignment', () => {
	const byte = fc.oneof(
		fc.constantFrom(0x0a, 0x0b, 0x09, 0x8a, 0x00, 0xff),
		fc.integer({ min: 0, max: 255 }),
	);
	fc.assert(
		fc.property(
			fc.array(byte, { maxLength: 60 }),
			fc.nat(7),
			fc.nat(60),
			fc.nat(60),
			(bytes, shift, a, b) => {
				const chunk = Buffer.from(new ArrayBuffer(80), shift, bytes.length);
				chunk.set(bytes);
				const [from, to] = [Math.min(a, b, bytes.length), Math.min(Math.max(a, b), bytes.length)];
				const expected = bytes.slice(from, to).filter((value) => value === 0x0a).length;
				assert.equal(countNewlines(chunk, from, to), expected);
			},
		),
		{ numRuns: 2000 },
	);
});
