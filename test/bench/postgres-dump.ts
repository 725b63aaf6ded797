import { spawnSync } from 'node:child_process';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { Client } from 'pg';

import { produceArtifact } from '../../lib/artifact/produce';
import { StagingFolder } from '../../lib/artifact/staging';
import { applyEncoding } from '../../lib/artifact/transform';
import { compressionEncoding } from '../../lib/compression/compression';
import {
	postgresEngine,
	type PostgresConnection,
	type PostgresDumpOptions,
} from '../../lib/databases/postgres';
import { usualZstdLevel } from '../../lib/databases/postgres/dump';
import { compileProject } from '../compiled';
import { startPostgres } from '../servers/postgres';

/** The fastest of these counts: other processes slow it down, nothing makes it faster. */
const RUNS = 3;

const MEBIBYTE = 1024 * 1024;

const ROWS = { compressible: 5_500_000, random: 450_000 };

/** A table as shops have it, and one that no compression makes smaller. Together more than 1 GB, on disk and in a dump. */
const tables = [
	'CREATE EXTENSION pgcrypto',
	`CREATE UNLOGGED TABLE compressible AS SELECT i AS id, timestamptz '2026-01-01' + i * interval '7 s' AS at,
		'customer ' || i % 5000 AS customer, (i::int8 * 7919 % 100000)::numeric / 100 AS amount,
		(ARRAY['new', 'paid', 'shipped', 'returned'])[1 + i % 4] AS state,
		'Order of ' || i % 12 || ' articles, delivered to the door by the usual carrier' AS note
	FROM generate_series(1, ${ROWS.compressible}) i`,
	`CREATE UNLOGGED TABLE random AS SELECT i AS id, gen_random_bytes(1000) AS content FROM generate_series(1, ${ROWS.random}) i`,
	'VACUUM ANALYZE compressible, random',
	'CHECKPOINT',
];

interface Job {
	connection: PostgresConnection;
	options: PostgresDumpOptions;
	folder: string;
}

interface Measured {
	seconds: number;
	bytes: number;
	/** By how much the resident memory grew over the start. */
	mebibytes?: number;
}

/** What Dump Database does, in a process of its own: dump, compress, hash, write, with the manifest. */
async function dump({ connection, options, folder }: Job): Promise<Measured> {
	const before = process.memoryUsage().rss;
	const start = performance.now();
	const prepared = await postgresEngine.prepareDump(connection, options);
	const { source, format, extension } = prepared;
	const content = produceArtifact(
		{ name: 'bench', kind: 'database', format, extension, source, now: new Date() },
		async (signal) => await prepared.start(signal),
	);
	const artifact =
		options.format === 'custom'
			? content
			: applyEncoding(content, compressionEncoding('zstd', usualZstdLevel));
	const staging = new StagingFolder(folder, 'bench');
	await staging.create();
	const { manifest } = await staging.write(artifact);
	const seconds = (performance.now() - start) / 1000;
	const rows = manifest.tables?.map((table) => table.rows);
	if (String(rows) !== String(Object.values(ROWS)))
		throw new Error(`Dumped were ${rows?.join(' and ')} rows`);
	const peak = process.resourceUsage().maxRSS * 1024;
	return { seconds, bytes: manifest.stored.size, mebibytes: (peak - before) / MEBIBYTE };
}

/**
 * A dump to a file: at most half the time of `pg_dump -Fc` and the time of `pg_dump -Fp | zstd -T0`, in at most 100 MiB of memory over the
 * start. The custom archive, compressed with zstd: at most half the time of `pg_dump -Fc`.
 */
export async function bench(): Promise<void> {
	const server = await startPostgres({ version: 15, settings: { max_wal_size: '4GB', autovacuum: 'off' } });
	const folder = await mkdtemp(join(tmpdir(), 'lifeboat-bench-'));
	try {
		const program = (await compileProject(join(folder, 'compiled')))(__filename);
		const client = new Client(server.connection());
		await client.connect();
		for (const sql of tables) await client.query(sql);
		const { rows } = await client.query<{ size: string }>(
			'SELECT pg_database_size(current_database()) AS size',
		);
		await client.end();

		const peer = (command: string) => async (): Promise<Measured> => {
			const file = join(folder, 'peer');
			const start = performance.now();
			const { status, stderr } = spawnSync('bash', ['-o', 'pipefail', '-c', command], {
				env: { ...server.env(), FILE: file },
				encoding: 'utf8',
			});
			const seconds = (performance.now() - start) / 1000;
			if (status !== 0) throw new Error(stderr);
			const { size: bytes } = await stat(file);
			await rm(file);
			return { seconds, bytes };
		};
		const own = (options: PostgresDumpOptions) => async (): Promise<Measured> => {
			const job: Job = { connection: server.connection(), options, folder: join(folder, 'own') };
			const child = spawnSync(process.execPath, [program, JSON.stringify(job)], { encoding: 'utf8' });
			if (child.status !== 0) throw new Error(child.stderr);
			await rm(job.folder, { recursive: true });
			return JSON.parse(child.stdout) as Measured;
		};
		const cases = {
			'Lifeboat, plain, zstd': own({}),
			'Lifeboat, custom, zstd': own({ format: 'custom', archiveCompression: 'zstd' }),
			'pg_dump -Fc': peer('pg_dump -Fc -f "$FILE"'),
			'pg_dump -Fp | zstd -T0': peer('pg_dump -Fp | zstd -q -T0 -o "$FILE"'),
		};
		const results = Object.fromEntries(Object.keys(cases).map((name) => [name, [] as Measured[]]));
		for (let run = 0; run < RUNS; run++) {
			for (const [name, measure] of Object.entries(cases)) results[name]!.push(await measure());
		}
		const seconds = (name: keyof typeof cases) => Math.min(...results[name]!.map((run) => run.seconds));
		const mebibytes = (name: string) => Math.max(...results[name]!.map((run) => run.mebibytes ?? 0));
		console.log(`A database of ${Math.round(Number(rows[0]!.size) / MEBIBYTE)} MiB, dumped to a file`);
		console.table(
			Object.keys(cases).map((name) => ({
				dump: name,
				seconds: seconds(name as keyof typeof cases).toFixed(2),
				'MiB written': Math.round(results[name]![0]!.bytes / MEBIBYTE),
				'MiB of memory more': Math.round(mebibytes(name)) || '',
			})),
		);
		const ratio = (name: keyof typeof cases, other: keyof typeof cases) =>
			(seconds(name) / seconds(other)).toFixed(2);
		const plain = 'Lifeboat, plain, zstd';
		const custom = 'Lifeboat, custom, zstd';
		console.log(`postgres-dump-zstd-vs-Fc ratio=${ratio(plain, 'pg_dump -Fc')} limit=0.5`);
		console.log(`postgres-dump-zstd-vs-Fp-zstd ratio=${ratio(plain, 'pg_dump -Fp | zstd -T0')} limit=1.0`);
		console.log(`postgres-dump-zstd-memory ratio=${(mebibytes(plain) / 100).toFixed(2)} limit=1.0`);
		console.log(`postgres-dump-custom-vs-Fc ratio=${ratio(custom, 'pg_dump -Fc')} limit=0.5`);
		console.log(`postgres-dump-custom-memory ratio=${(mebibytes(custom) / 100).toFixed(2)} limit=1.0`);
	} finally {
		await server.stop();
		await rm(folder, { recursive: true, force: true });
	}
}

if (require.main === module) {
	void dump(JSON.parse(process.argv[2]!) as Job).then((measured) =>
		process.stdout.write(JSON.stringify(measured)),
	);
}
