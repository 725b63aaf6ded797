import assert from 'node:assert/strict';
import { test } from 'node:test';

import fc from 'fast-check';

import { partsInFlight } from '../../../../lib/storage/parts';
import { MAX_PARTS, partSizes } from '../../../../lib/storage/s3/parts';
import { code } from '../conformance';

const MiB = 1024 * 1024;
const TiB = MiB * MiB;

test('every size up to 5 TiB fits into 10,000 equal parts of at least 5 MiB', () => {
	fc.assert(
		fc.property(fc.integer({ min: 0, max: 5 * TiB }), (size) => {
			const sizes = partSizes(size, false);
			const part = sizes(1);
			assert.equal(sizes(9999), part);
			assert.ok(part >= 5 * MiB && part * MAX_PARTS >= size);
			assert.ok(partsInFlight(part) * part <= Math.max(part, 64 * MiB));
		}),
		{ numRuns: 1000 },
	);
	assert.equal(partSizes(5 * TiB, true)(1) / MiB, 525);
	assert.throws(() => partSizes(5 * TiB + 1, false), code('FILE_TOO_LARGE'));
});

test('parts grow where the size is not known, so that 5 TiB fit', () => {
	const sizes = partSizes(undefined, false);
	let total = 0;
	for (let part = 1; part <= MAX_PARTS; part += 1) {
		assert.ok(sizes(part) >= sizes(Math.max(1, part - 1)));
		assert.ok(sizes(part) < 5 * 1024 * MiB);
		total += sizes(part);
	}
	assert.ok(total >= 5 * TiB);
	assert.equal(sizes(1), 8 * MiB);
	const equal = partSizes(undefined, true);
	assert.equal(equal(1), equal(MAX_PARTS));
});
