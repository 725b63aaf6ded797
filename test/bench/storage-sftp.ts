import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { randomBytes } from 'node:crypto';

import { openFile } from '../../lib/artifact/file-artifact';
import { sftpStorage, type SftpSettings } from '../../lib/storage/sftp/sftp-storage';
import { FileWriter } from '../../lib/streams/file-writer';
import { startSshd } from '../servers/sshd';

const MEBIBYTE = 1024 * 1024;
const SIZE = 512 * MEBIBYTE;

/** The fastest of these counts: other processes slow it down, nothing makes it faster. */
const RUNS = 3;

interface Measured {
	seconds: number;
	/** By how much the process grew at most. */
	mebibytes: number;
}

/** What one transfer takes, in a process of its own. */
async function measure(settings: SftpSettings, what: string, path: string): Promise<Measured> {
	const storage = sftpStorage(settings);
	// Connected, and the code is loaded.
	await storage.stat('key');
	const before = process.memoryUsage.rss();
	let most = before;
	const timer = setInterval(() => (most = Math.max(most, process.memoryUsage.rss())), 10);
	const start = performance.now();
	if (what === 'up') {
		await storage.put('key', await openFile(path), { size: SIZE, ifExists: 'replace' });
	} else {
		const stream = await storage.get('key');
		// As the nodes write files, but for the flush to the disk, which `sftp` doesn't do either.
		await pipeline(stream, new FileWriter(path, { mode: 0o600, from: stream, sync: false }));
	}
	const seconds = (performance.now() - start) / 1000;
	clearInterval(timer);
	await storage.close();
	return { seconds, mebibytes: (most - before) / MEBIBYTE };
}

/** 512 MiB to and from OpenSSH's server on loopback: at most 1.1 of the `sftp` command, which flushes too, and 100 MiB more memory. */
export async function bench(): Promise<void> {
	const server = await startSshd();
	const folder = await mkdtemp(join(tmpdir(), 'lifeboat-bench-'));
	try {
		const [original, copy] = [join(folder, 'original'), join(folder, 'copy')];
		const file = await open(original, 'w');
		const noise = randomBytes(16 * MEBIBYTE);
		for (let left = SIZE; left > 0; left -= noise.length) await file.write(noise.subarray(0, left));
		await file.sync();
		await file.close();
		const ours = (what: string, path: string) => async () => {
			await rm(copy, { force: true });
			const argument = JSON.stringify([server.storage('bench'), what, path]);
			const child = spawnSync(process.execPath, ['--import', 'tsx', __filename, argument], {
				encoding: 'utf8',
			});
			if (child.status !== 0) throw new Error(child.stderr);
			execFileSync('cmp', [original, what === 'up' ? join(server.folder, 'bench', 'key') : path]);
			return JSON.parse(child.stdout) as Measured;
		};
		const theirs = (command: string) => async () => {
			await rm(copy, { force: true });
			const start = performance.now();
			await server.sftp(command);
			return { seconds: (performance.now() - start) / 1000, mebibytes: 0 };
		};
		// Its own start and login are not what is compared.
		const [{ seconds: login }] = await best(theirs('pwd'));
		const cases = [
			{ name: 'sftp-upload', own: ours('up', original), peer: theirs(`put -f ${original} peer`) },
			{ name: 'sftp-download', own: ours('down', copy), peer: theirs(`get peer ${copy}`) },
		];
		for (const { name, own, peer } of cases) {
			const [measured, other] = await best(own, peer);
			const seconds = other.seconds - login;
			console.table({
				[name]: { seconds: measured.seconds.toFixed(2), 'MiB more': Math.round(measured.mebibytes) },
				'sftp command': { seconds: seconds.toFixed(2) },
			});
			console.log(`${name} ratio=${(measured.seconds / seconds).toFixed(2)} limit=1.1`);
			console.log(`${name}-memory ratio=${(measured.mebibytes / 100).toFixed(2)} limit=1`);
		}
	} finally {
		await server.stop();
		await rm(folder, { recursive: true });
	}
}

type Run = () => Promise<Measured>;

/** The fastest run of each, and the most memory of all. They take turns, so that what slows the machine for a while slows each. */
async function best<Runs extends Run[]>(...runs: Runs): Promise<{ [Key in keyof Runs]: Measured }> {
	const results = runs.map((): Measured[] => []);
	for (let i = 0; i < RUNS; i += 1) {
		for (const [index, run] of runs.entries()) results[index]!.push(await run());
	}
	return results.map((measured) => ({
		seconds: Math.min(...measured.map(({ seconds }) => seconds)),
		mebibytes: Math.max(...measured.map(({ mebibytes }) => mebibytes)),
	})) as { [Key in keyof Runs]: Measured };
}

if (require.main === module) {
	const [settings, what, path] = JSON.parse(process.argv[2]!) as [SftpSettings, string, string];
	measure(settings, what, path).then(
		(result) => process.stdout.write(JSON.stringify(result)),
		(error: Error) => {
			console.error(error.message);
			process.exitCode = 1;
		},
	);
}
