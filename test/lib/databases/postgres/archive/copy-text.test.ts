import assert from 'node:assert/strict';
import { test } from 'node:test';

import fc from 'fast-check';

import { copyRows, countRows } from '../../../../../lib/databases/postgres/archive/copy-text';

import { pieces } from './fixture';

async function rowsOf(text: string, size: number) {
	const content = copyRows(pieces(Buffer.from(text), size), 'the data of t', 7);
	let result = '';
	let next = await content.next();
	for (; !next.done; next = await content.next()) result += next.value.toString('latin1');
	return { text: result, rows: next.value };
}

test('rows are counted and freed of their end marker, in pieces of any size', async () => {
	// Rows that look like the marker from a distance: COPY escapes a backslash.
	const row = fc.constantFrom('', 'a', '1\t\\N', '\\\\.', 'x\\\\.', '.', '\\n', 'longer than the marker');
	await fc.assert(
		fc.asyncProperty(fc.array(row), fc.integer({ min: 1, max: 20 }), async (rows, size) => {
			const text = rows.map((line) => `${line}\n`).join('');
			assert.deepEqual(await rowsOf(`${text}\\.\n\n\n`, size), { text, rows: rows.length });
		}),
	);
});

test('short and long rows are counted alike', () => {
	for (const length of [0, 1, 20, 39, 41, 300, 100_000]) {
		assert.equal(countRows(Buffer.from(`${'x'.repeat(length)}\n`.repeat(50))), 50, `${length}`);
	}
	assert.equal(countRows(Buffer.from(`${'\n'.repeat(5000)}${'x'.repeat(100_000)}`)), 5000);
	assert.equal(countRows(Buffer.from(`${'x'.repeat(100_000)}${'\n'.repeat(5000)}`)), 5000);
});

test('rows without the end marker, or cut in their middle, are damaged', async () => {
	for (const text of ['', 'a\n', 'a\n\\', 'a\n\\.\nb\n', 'a\\.\n\n\n', 'a\n\\\\.\n\n\n', '\\.\n\n\n\n']) {
		for (const size of [1, 2, 100]) {
			await assert.rejects(rowsOf(text, size), {
				code: 'ARCHIVE_DAMAGED',
				message: /byte 7: the data of t has no end marker/,
			});
		}
	}
});
