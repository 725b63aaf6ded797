import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** Stores an endless object in another process, which is killed as soon as something of it is there. */
export async function crashWhileStoring(
	settings: object,
	key: string,
	leftovers: () => Promise<string[]>,
): Promise<void> {
	const before = (await leftovers()).length;
	const child = spawn(
		process.execPath,
		['--import', 'tsx', join(__dirname, 'crash-child.ts'), JSON.stringify([settings, key])],
		{ stdio: ['ignore', 'ignore', 'inherit'] },
	);
	const ended = once(child, 'exit');
	for (const deadline = Date.now() + 30_000; (await leftovers()).length === before; await sleep(20)) {
		if (child.exitCode !== null || Date.now() > deadline)
			throw new Error('The process did not store anything');
	}
	child.kill('SIGKILL');
	await ended;
}
