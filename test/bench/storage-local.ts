import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { openFile } from '../../lib/artifact/file-artifact';
import { readBack } from '../../lib/storage/backups';
import { localStorage } from '../../lib/storage/local/local-storage';

const SIZE = 1_000_000_000;

/** The fastest of these counts: other processes slow it down, nothing makes it faster. */
const RUNS = 3;

const MEBIBYTE = 1024 * 1024;

interface Measured {
	seconds: number;
	/** By how much the process grew at most. */
	mebibytes: number;
}

/** In a process of its own, as in an n8n that runs: its start isn't counted. */
async function store(folder: string, path: string): Promise<Measured> {
	const storage = localStorage({ folder });
	// The code that is loaded on first use is not what is measured.
	await storage.put('warm', await openFile(__filename), { ifExists: 'replace' });
	await readBack(storage, 'warm');
	const before = process.memoryUsage.rss();
	let most = before;
	const start = performance.now();
	const timer = setInterval(() => (most = Math.max(most, process.memoryUsage.rss())), 10);
	await storage.put('stored', await openFile(path), { size: (await stat(path)).size, ifExists: 'replace' });
	const { size } = await readBack(storage, 'stored');
	const seconds = (performance.now() - start) / 1000;
	clearInterval(timer);
	if (size !== SIZE) throw new Error(`${size} bytes came back`);
	return { seconds, mebibytes: (most - before) / MEBIBYTE };
}

function timed(command: string, args: string[]): { seconds: number; stdout: string } {
	const start = performance.now();
	const { status, stderr, stdout } = spawnSync(command, args, { encoding: 'utf8' });
	if (status !== 0) throw new Error(stderr);
	return { seconds: (performance.now() - start) / 1000, stdout };
}

/** 1 GB into a folder, flushed to the disk and proven, beside `cp`, `sync` and `sha256sum`. */
export async function bench(): Promise<void> {
	const folder = await mkdtemp(join(tmpdir(), 'lifeboat-bench-'));
	try {
		const source = join(folder, 'source');
		execFileSync('sh', ['-c', `head -c ${SIZE} /dev/urandom > '${source}' && sync '${source}'`]);
		const copy = join(folder, 'copy');
		const runs = Array.from({ length: RUNS }, () => {
			const ours = timed(process.execPath, ['--import', 'tsx', __filename, folder, source]);
			const theirs = timed('sh', ['-c', `cp '${source}' '${copy}' && sync '${copy}' && sha256sum '${copy}'`]);
			execFileSync('rm', [copy]);
			return { ours: JSON.parse(ours.stdout) as Measured, theirs: theirs.seconds };
		});
		const ours = Math.min(...runs.map((run) => run.ours.seconds));
		const theirs = Math.min(...runs.map((run) => run.theirs));
		const mebibytes = Math.max(...runs.map((run) => run.ours.mebibytes));
		console.log('1 GB into a local folder, and its SHA-256 read back');
		console.table([
			{
				seconds: ours.toFixed(2),
				'cp, sync, sha256sum': theirs.toFixed(2),
				'MiB more': Math.round(mebibytes),
			},
		]);
		console.log(`storage-local ratio=${(ours / theirs).toFixed(2)} limit=1.1`);
		console.log(`storage-local-memory ratio=${(mebibytes / 100).toFixed(2)} limit=1`);
	} finally {
		await rm(folder, { recursive: true });
	}
}

if (require.main === module) {
	void store(process.argv[2]!, process.argv[3]!).then((measured) =>
		process.stdout.write(JSON.stringify(measured)),
	);
}
