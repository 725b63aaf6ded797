import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

import { openFile } from '../../lib/artifact/file-artifact';
import { s3Storage, type S3Settings } from '../../lib/storage/s3/s3-storage';
import { FileWriter } from '../../lib/streams/file-writer';
import { startRadosgw } from '../servers/radosgw';

const SIZE = 1_000_000_000;

/** The fastest of these counts: other processes slow it down, nothing makes it faster. */
const RUNS = 3;

const MEBIBYTE = 1024 * 1024;

interface Job {
	settings: S3Settings;
	what: 'upload' | 'download';
	path: string;
	key: string;
}

interface Measured {
	seconds: number;
	mebibytes: number;
}

/** With the streams of the nodes, in a process of its own, as in an n8n that runs: its start isn't counted. How long it takes, and how far the memory grows. */
async function transfer({ settings, what, path, key }: Job): Promise<Measured> {
	const storage = s3Storage(settings);
	// The code that is loaded on first use is not what is measured.
	await storage.put('warm', Readable.from([Buffer.alloc(1000)]), { ifExists: 'replace' });
	await (await storage.get('warm')).resume().toArray();
	const before = process.memoryUsage.rss();
	let most = before;
	const start = performance.now();
	const timer = setInterval(() => (most = Math.max(most, process.memoryUsage.rss())), 10);
	if (what === 'upload') {
		await storage.put(key, await openFile(path), { size: (await stat(path)).size, ifExists: 'replace' });
	} else {
		await rm(path, { force: true });
		const from = await storage.get(key);
		await pipeline(from, new FileWriter(path, { mode: 0o600, from, sync: false }));
	}
	const seconds = (performance.now() - start) / 1000;
	clearInterval(timer);
	await storage.close();
	return { seconds, mebibytes: (most - before) / MEBIBYTE };
}

function run(command: string, args: string[], env: NodeJS.ProcessEnv = process.env): string {
	const { status, stderr, stdout } = spawnSync(command, args, { encoding: 'utf8', env });
	if (status !== 0) throw new Error(stderr);
	return stdout;
}

/** 1 GB to and from a server on this machine, beside `aws s3 cp` (the whole command); and the memory it takes with eight parts in flight. */
export async function bench(): Promise<void> {
	const server = await startRadosgw();
	const folder = await mkdtemp(join(tmpdir(), 'lifeboat-bench-'));
	try {
		const settings = await server.bucket();
		const source = join(folder, 'source');
		execFileSync('sh', ['-c', `head -c ${SIZE} /dev/urandom > '${source}'`]);
		const target = join(folder, 'target');
		const ours = (what: Job['what']) => {
			const path = what === 'upload' ? source : target;
			const job: Job = { settings, what, path, key: 'large' };
			return JSON.parse(
				run(process.execPath, ['--import', 'tsx', __filename, JSON.stringify(job)]),
			) as Measured;
		};
		const theirs = (what: Job['what']) => {
			const object = `s3://${settings.bucket}/large`;
			const paths = what === 'upload' ? [source, object] : [object, target];
			const cp = ['--endpoint-url', settings.endpoint, 's3', 'cp', '--only-show-errors', ...paths];
			const start = performance.now();
			run('/usr/bin/aws', cp, server.env());
			return { seconds: (performance.now() - start) / 1000 };
		};
		const rows = (['upload', 'download'] as const).map((what) => {
			const runs = Array.from({ length: RUNS }, () => ({ ours: ours(what), theirs: theirs(what) }));
			return {
				what,
				ours: Math.min(...runs.map((run) => run.ours.seconds)),
				aws: Math.min(...runs.map((run) => run.theirs.seconds)),
				mebibytes: Math.max(...runs.map((run) => run.ours.mebibytes)),
			};
		});
		execFileSync('cmp', [source, target]);
		console.log('1 GB to and from S3 (radosgw)');
		console.table(
			rows.map(({ what, ours: mine, aws, mebibytes }) => ({
				what,
				seconds: mine.toFixed(2),
				'aws s3 cp': aws.toFixed(2),
				'MiB more': Math.round(mebibytes),
			})),
		);
		for (const { what, ours: mine, aws, mebibytes } of rows) {
			console.log(`storage-s3-${what} ratio=${(mine / aws).toFixed(2)} limit=1`);
			console.log(`storage-s3-${what}-memory ratio=${(mebibytes / 100).toFixed(2)} limit=1`);
		}
	} finally {
		await rm(folder, { recursive: true });
		await server.stop();
	}
}

if (require.main === module) {
	void transfer(JSON.parse(process.argv[2]!) as Job).then((measured) =>
		process.stdout.write(JSON.stringify(measured)),
	);
}
