import { execFileSync, spawnSync } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { readBack } from '../../lib/storage/backups';
import { localStorage } from '../../lib/storage/local/local-storage';

const SIZE = 1_000_000_000;

/** The fastest of these counts: other processes slow it down, nothing makes it faster. */
const RUNS = 3;

const MEBIBYTE = 1024 * 1024;

/** In a process of its own: how far its memory grows. */
async function store(folder: string, path: string): Promise<number> {
	const storage = localStorage({ folder });
	const before = process.memoryUsage.rss();
	let most = before;
	const timer = setInterval(() => (most = Math.max(most, process.memoryUsage.rss())), 10);
	const source = createReadStream(path, { highWaterMark: 256 * 1024 });
	await storage.put('stored', source, { size: (await stat(path)).size, ifExists: 'replace' });
	const { size } = await readBack(storage, 'stored');
	clearInterval(timer);
	if (size !== SIZE) throw new Error(`${size} bytes came back`);
	return (most - before) / MEBIBYTE;
}

function timed(command: string, args: string[]): { seconds: number; stdout: string } {
	const start = performance.now();
	const { status, stderr, stdout } = spawnSync(command, args, { encoding: 'utf8' });
	if (status !== 0) throw new Error(stderr);
	return { seconds: (performance.now() - start) / 1000, stdout };
}

/** 1 GB into a folder, flushed to the disk and proven, beside `cp`, `sync` and `sha256sum`. The whole commands on both sides. */
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
			return { ours: ours.seconds, theirs: theirs.seconds, mebibytes: Number(ours.stdout) };
		});
		const ours = Math.min(...runs.map((run) => run.ours));
		const theirs = Math.min(...runs.map((run) => run.theirs));
		const mebibytes = Math.max(...runs.map((run) => run.mebibytes));
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
	void store(process.argv[2]!, process.argv[3]!).then((mebibytes) => process.stdout.write(String(mebibytes)));
}
