import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import fc from 'fast-check';

import { PartReader, sendParts, SourceFailed } from '../../../lib/storage/parts';

const chunks = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 20 });
const { signal } = new AbortController();

test('a stream is cut into parts without losing a byte', async () => {
	await fc.assert(
		fc.asyncProperty(chunks, fc.integer({ min: 1, max: 30 }), async (pieces, size) => {
			const reader = new PartReader(Readable.from(pieces));
			const parts: Buffer[] = [];
			while (!reader.ended) {
				const part = await reader.fill(Buffer.alloc(size));
				assert.ok(reader.ended || part.length === size);
				parts.push(part);
			}
			assert.deepEqual(Buffer.concat(parts), Buffer.concat(pieces));
			// The end is known with the last byte, not one empty part later.
			assert.ok(parts.length === 1 || parts.at(-1)!.length > 0);
		}),
	);
});

test('parts are sent side by side, each once, with bytes that stay the same until they are there', async () => {
	await fc.assert(
		fc.asyncProperty(chunks, fc.integer({ min: 1, max: 30 }), fc.boolean(), async (pieces, size, ahead) => {
			const reader = new PartReader(Readable.from(pieces));
			const first = ahead ? { first: await reader.fill(Buffer.alloc(size)) } : {};
			const parts = new Map<number, Buffer>();
			const sent = await sendParts(reader, { sizes: () => size, signal, ...first }, async (number, body) => {
				await sleep(Math.random() * 2);
				assert.ok(!parts.has(number));
				parts.set(number, Buffer.from(body));
			});
			const inOrder = Array.from({ length: parts.size }, (_, index) => parts.get(index + 1)!);
			const all = Buffer.concat(pieces);
			assert.deepEqual(Buffer.concat(inOrder), all);
			assert.equal(sent, all.length);
			assert.equal(parts.size, Math.ceil(all.length / size));
		}),
		{ numRuns: 50 },
	);
});

test('a part that can not be sent ends the others and the source before it is told', async () => {
	const source = Readable.from(
		(async function* () {
			for (;;) {
				await sleep(1);
				yield Buffer.alloc(10);
			}
		})(),
	);
	const failure = new Error('no room');
	let underWay = 0;
	const sending = sendParts(new PartReader(source), { sizes: () => 10, signal }, async (number, _, stop) => {
		if (number === 3) throw failure;
		underWay += 1;
		await sleep(60_000, undefined, { signal: stop }).finally(() => (underWay -= 1));
	});
	await assert.rejects(sending, (error) => error === failure);
	assert.equal(underWay, 0);
	assert.ok(source.destroyed);
});

test('what the source threw is kept apart', async () => {
	const broken = new Error('the dump was cut');
	const source = Readable.from(
		(function* () {
			yield Buffer.alloc(25);
			throw broken;
		})(),
	);
	const sending = sendParts(new PartReader(source), { sizes: () => 10, signal }, async () => {});
	await assert.rejects(sending, (error) => error instanceof SourceFailed && error.cause === broken);
});
