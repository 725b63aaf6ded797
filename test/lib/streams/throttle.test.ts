import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { test } from 'node:test';

import { ProgressStream, type Progress } from '../../../lib/streams/progress';
import { Throttle } from '../../../lib/streams/throttle';

test('no more than the rate passes, evenly, and all of it', async () => {
	const content = randomBytes(500_000);
	for (const size of [500_000, 7001]) {
		const chunks = function* () {
			for (let at = 0; at < content.length; at += size) yield content.subarray(at, at + size);
		};
		const start = performance.now();
		const times: Array<[number, number]> = [];
		let seen = 0;
		const passed: Buffer[] = [];
		await pipeline(Readable.from(chunks()), new Throttle(500_000), async (source: AsyncIterable<Buffer>) => {
			for await (const chunk of source) {
				passed.push(chunk);
				times.push([performance.now() - start, (seen += chunk.length)]);
			}
		});
		assert.ok(Buffer.concat(passed).equals(content));
		// At any time: the rate, and what a quarter of a second saves up.
		for (const [time, bytes] of times)
			assert.ok(bytes <= time * 500 + 125_000 + 1024, `${bytes} after ${time}`);
		const [seconds] = times.at(-1)!;
		assert.ok(seconds > 700 && seconds < 2500, `${seconds} ms`);
	}
});

test('a stop does not wait for its turn', async () => {
	const abort = new AbortController();
	setTimeout(() => abort.abort(), 50);
	const start = performance.now();
	const source = Readable.from([randomBytes(1_000_000)]);
	const { signal } = abort;
	await assert.rejects(
		pipeline(source, new Throttle(1000), async (s) => void (await buffer(s)), { signal }),
		{
			name: 'AbortError',
		},
	);
	assert.ok(performance.now() - start < 1000);
});

test('progress tells bytes, rate and what remains, no more often than asked', async () => {
	let now = 5000;
	const reports: Progress[] = [];
	const progress = new ProgressStream({
		...{ total: 1000, every: 2000, clock: () => now },
		onProgress: (report) => reports.push(report),
	});
	progress.resume();
	for (const [time, bytes] of [
		[5500, 100],
		[7000, 300],
		[8000, 100],
		[9000, 300],
		[9500, 200],
	] as const) {
		now = time;
		progress.write(Buffer.alloc(bytes));
	}
	assert.deepEqual(reports, [
		{ bytes: 400, total: 1000, seconds: 2, bytesPerSecond: 200, remaining: 3 },
		{ bytes: 800, total: 1000, seconds: 4, bytesPerSecond: 200, remaining: 1 },
	]);
});
