import assert from 'node:assert/strict';
import { join } from 'node:path';

import { runCommand } from '../../servers/process';

import type { MeasuredStorage } from './memory-child';

/**
 * Uploads so much in a process of its own, then downloads it in another, and fails if either grew with it. How much garbage the engine
 * lets lie varies by tens of MiB: an object that is kept whole, or parts without a bound, would show all the same.
 *
 * @param mebibytes of the object, and how many a process may grow by at most.
 */
export async function assertBoundedMemory(
	place: MeasuredStorage,
	{ object, growth }: { object: number; growth: number },
): Promise<void> {
	const child = join(__dirname, 'memory-child.ts');
	for (const what of ['upload', 'download']) {
		const argument = JSON.stringify([place, what, object * 1024 * 1024]);
		const grown = Number(await runCommand(process.execPath, ['--import', 'tsx', child, argument]));
		assert.ok(grown > 0 && grown <= growth, `${what}: ${grown} MiB`);
	}
}
