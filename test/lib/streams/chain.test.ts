import assert from 'node:assert/strict';
import { PassThrough, Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { describe, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';

import { chain } from '../../../lib/streams/chain';

const aborted = { name: 'AbortError' };

describe('a chain of streams', () => {
	test('gives what comes out of its last stage', async () => {
		assert.equal(
			String(await buffer(chain(Readable.from(['a', 'b']), [new PassThrough(), new PassThrough()]))),
			'ab',
		);
	});

	for (const transforms of [0, 2]) {
		const make = (signal: AbortSignal, source = Readable.from(['a'])) =>
			chain(
				source,
				Array.from({ length: transforms }, () => new PassThrough()),
				signal,
			);

		// The runner fails a test whose process had an error that nobody listened to.
		test(`of ${transforms} transforms is aborted before it was made, before it is read, and while it is read`, async () => {
			const before = make(AbortSignal.abort());
			await turn();
			await assert.rejects(buffer(before), aborted);

			const stop = new AbortController();
			const unread = make(stop.signal);
			stop.abort();
			await turn();
			await assert.rejects(buffer(unread), aborted);

			const stopLater = new AbortController();
			const endless = new Readable({ read() {} });
			const reading = assert.rejects(buffer(make(stopLater.signal, endless)), aborted);
			await turn();
			stopLater.abort();
			await reading;
			assert.equal(endless.destroyed, true);
		});
	}

	test('destroys every stage when one fails, and tells the reader', async () => {
		const source = new Readable({ read() {} });
		const stages = [new PassThrough(), new PassThrough()];
		const result = chain(source, stages);
		const reading = assert.rejects(buffer(result), /broke/);
		stages[0]!.destroy(new Error('it broke'));
		await reading;
		assert.ok([source, ...stages].every(({ destroyed }) => destroyed));
	});

	test('destroys its source when the reader stops early', async () => {
		const source = new Readable({ read() {} });
		chain(source, [new PassThrough()]).destroy();
		await turn();
		assert.equal(source.destroyed, true);
	});
});
