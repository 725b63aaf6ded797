import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { test } from 'node:test';

import { runCommand } from '../../../servers/process';

const child = [process.execPath, '--import', 'tsx', join(__dirname, 'put-child.ts')];

async function inFolder(run: (folder: string) => Promise<void>): Promise<void> {
	const folder = await mkdtemp(join(tmpdir(), 'lifeboat-local-'));
	try {
		await run(folder);
	} finally {
		await rm(folder, { recursive: true });
	}
}

/** Runs a shell script; `"$@"` in it is the command that stores something. */
const shell = (script: string, ...args: string[]) =>
	runCommand('sh', ['-ec', script, 'sh', ...child, ...args]);

for (const mode of ['known', 'unknown']) {
	test(`a disk that fills up keeps nothing of the object (size ${mode})`, () =>
		inFolder(async (folder) => {
			// A file system of 4 MB of its own, in a mount namespace of its own: no other user of the machine sees it.
			const script = `mount -t tmpfs -o size=4m tmpfs '${folder}'; echo kept > '${folder}/kept'; "$@"; ls -A '${folder}' '${folder}/sub'`;
			const output = await runCommand('unshare', [
				...['-rm', 'sh', '-ec', script, 'sh', ...child, folder, 'sub/big', '8000000', mode],
			]);
			const [error, ...listing] = output.trim().split('\n');
			assert.match(error!, /^DISK_FULL: /);
			assert.match(
				error!,
				mode === 'known' ? /4\d{6} bytes free, the backup needs 8000000$/ : /No space left/,
			);
			assert.deepEqual(listing, [`${folder}:`, 'kept', 'sub', '', `${folder}/sub:`]);
		}));
}

test('a folder that may not be written to is named', () =>
	inFolder(async (folder) => {
		const script = `mount -t tmpfs -o ro tmpfs '${folder}'; "$@"`;
		for (const key of ['a', 'sub/a']) {
			const args = ['-rm', 'sh', '-ec', script, 'sh', ...child, folder, key, '10', 'unknown'];
			const output = await runCommand('unshare', args);
			assert.match(output, /^ACCESS_DENIED: .*lifeboat-local-.* is on a read-only file system\n$/);
			assert.ok(output.includes(folder));
		}
	}));

test('a limit on the size of files keeps nothing of the object', () =>
	inFolder(async (folder) => {
		const output = await shell('ulimit -f 2048; "$@"', folder, 'big', '8000000', 'unknown');
		assert.match(output, /^FILE_TOO_LARGE: /);
		assert.deepEqual(await readdir(folder), []);
	}));

for (const errno of ['EPERM', 'EOPNOTSUPP', 'ENOSYS']) {
	test(`a file system without hard links (${errno}) keeps the promise not to overwrite`, () =>
		inFolder(async (folder) => {
			// The kernel's own answer on FAT and on many network mounts, given here by strace.
			const inject = `-e trace=link,linkat -e inject=link,linkat:error=${errno}`;
			const trace = join(tmpdir(), `${basename(folder)}.trace`);
			const traced = `strace -f -o '${trace}' ${inject} "$@"`;
			assert.equal(await shell(traced, folder, 'new', '1000', 'known'), 'stored\n');
			assert.match(await readFile(trace, 'utf8'), /link.*INJECTED/);
			await rm(trace);
			assert.equal((await readFile(join(folder, 'new'))).length, 1000);
			await writeFile(join(folder, 'old'), 'old');
			assert.match(await shell(traced, folder, 'old', '1000', 'known'), /^ALREADY_EXISTS: /);
			await rm(trace);
			assert.equal(await readFile(join(folder, 'old'), 'utf8'), 'old');
			const quiet = traced.replace(trace, '/dev/null');
			const both = `(${quiet}) & one=$!; ${quiet}; wait $one`;
			const output = await shell(both, folder, 'contended', '5000000', 'unknown');
			const [first, second, ...rest] = output.trim().split('\n').toSorted();
			assert.match(first!, /^ALREADY_EXISTS: /);
			assert.deepEqual([second, rest], ['stored', []]);
			assert.deepEqual((await readdir(folder)).toSorted(), ['contended', 'new', 'old']);
		}));
}
