import assert from 'node:assert/strict';
import { test } from 'node:test';

import fc from 'fast-check';

import type { ContentPlace } from '../../../../../lib/databases/postgres/dump/dump-session';
import { Script } from '../../../../../lib/databases/postgres/dump/script';

test('text and places of a script come back in order, whatever lies compressed', async () => {
	// Up to 600 kB a piece, so that blocks of 1 MiB end anywhere; places may come first, last, and several at once.
	const parts = fc.array(fc.oneof(fc.nat(600_000), fc.constant('place' as const)), { maxLength: 12 });
	await fc.assert(
		fc.asyncProperty(parts, async (all) => {
			const script = new Script();
			const expected: string[] = [];
			let text = '';
			for (const [index, part] of all.entries()) {
				if (part === 'place') {
					script.place({ largeObject: index });
					expected.push(text, `place ${index}`);
					text = '';
					continue;
				}
				const piece = `${index} `.repeat(part).slice(0, part);
				await script.write(Buffer.from(piece));
				text += piece;
			}
			expected.push(text);
			assert.deepEqual(await read(script.parts()), expected);
		}),
		{ numRuns: 25 },
	);
});

/** Texts and places in turn. */
async function read(parts: AsyncIterable<Buffer | ContentPlace>): Promise<string[]> {
	const seen = [''];
	for await (const part of parts) {
		if (Buffer.isBuffer(part)) seen.push(seen.pop()! + part.toString());
		else seen.push(`place ${'largeObject' in part ? part.largeObject : 'of a table'}`, '');
	}
	return seen;
}
