import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Worker } from 'node:worker_threads';

import fc from 'fast-check';

import { HashThread } from '../../../lib/encryption/openpgp/hash-thread';
import { pieces, sampleBytes } from './helpers';

const sha1 = (data: Buffer) => createHash('sha1').update(data).digest('hex');

/** What it says of the data, of which each piece is overwritten as soon as it may be. */
async function hashed(data: Buffer, cuts: number[] = []): Promise<string> {
	const hash = new HashThread();
	try {
		for (const piece of pieces(data, cuts)) {
			const own = Buffer.from(piece);
			await hash.update(own);
			own.fill(0);
		}
		return (await hash.digest()).toString('hex');
	} finally {
		await hash.close();
	}
}

describe('a hash in another thread', () => {
	test('is that of the bytes, whatever pieces they come in', async () => {
		const data = sampleBytes(4_500_000);
		const size = fc.oneof(
			fc.nat(data.length),
			fc.constantFrom(0, 1, 256 * 1024, 2 * 1024 * 1024, 2 * 1024 * 1024 + 1),
		);
		await fc.assert(
			fc.asyncProperty(size, fc.array(fc.nat(data.length), { maxLength: 20 }), async (length, cuts) => {
				const part = data.subarray(0, length);
				assert.equal(await hashed(part, cuts), sha1(part));
			}),
			{ numRuns: 40 },
		);
	});

	test('is made in this thread where no other one may be started', async () => {
		const script = `
			const { HashThread } = require(${JSON.stringify(join(__dirname, '../../../lib/encryption/openpgp/hash-thread'))});
			(async () => {
				const hash = new HashThread();
				for (let count = 0; count < 50; count++) await hash.update(Buffer.alloc(100_000, count));
				console.log((await hash.digest()).toString('hex'));
			})();`;
		const { stdout } = await promisify(execFile)(process.execPath, [
			...['--require', 'tsx/cjs', '--permission', '--allow-fs-read=*', '--allow-fs-write=*', '--no-warnings'],
			...['--eval', script],
		]);
		const data = Buffer.concat(Array.from({ length: 50 }, (_, count) => Buffer.alloc(100_000, count)));
		assert.equal(stdout.trim(), sha1(data));
	});

	test('is not made of the rest when the thread ends that had hashed the start', async () => {
		for (const rest of [0, 1000, 300_000]) {
			const hash = new HashThread();
			const thread = hash as unknown as { worker: Worker | undefined; waiting: Buffer[] };
			await hash.update(sampleBytes(2 * 1024 * 1024));
			while (thread.waiting.length > 0) await sleep(1);
			await thread.worker!.terminate();
			const all = hash.update(Buffer.alloc(rest)).then(async () => hash.digest());
			await assert.rejects(all, { code: 'THREAD_LOST', hint: /memory/ });
		}
	});

	test('is made in this thread if the other one ends before it has done anything, and refused if it ends later', async () => {
		const data = sampleBytes(8 * 1024 * 1024);
		for (const isLate of [false, true]) {
			const hash = new HashThread();
			const thread = hash as unknown as { worker: Worker | undefined; hasAnswered: boolean };
			const all = (async () => {
				for (const piece of pieces(data, [])) await hash.update(piece);
				return hash.digest();
			})();
			all.catch(() => {});
			while (isLate && !thread.hasAnswered) await sleep(1);
			await thread.worker?.terminate();
			if (isLate) await assert.rejects(all, { code: 'THREAD_LOST', hint: /memory/ });
			else assert.equal((await all).toString('hex'), sha1(data));
		}
	});
});
