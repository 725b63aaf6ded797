// Restore of a PostgreSQL database of more than 1 GB, against psql and pg_restore on the same server with the same files.
import { execFile, spawn } from 'node:child_process';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { openFile } from '../../lib/artifact/file-artifact';
import type { PostgresConnection } from '../../lib/databases/postgres';
import { restorePostgres } from '../../lib/databases/postgres/restore/restore';
import { compileProject } from '../compiled';
import { startPostgres, type PostgresServer } from '../servers/postgres';

const run = promisify(execFile);

/** The fastest of so many rounds counts, of each side: other processes slow it down, nothing makes it faster. */
const ROUNDS = 2;

const MEBIBYTE = 1024 * 1024;

/** A table of words and numbers, as most are, and one of random bytes; together above 1 GB as COPY text. */
const source = [
	`CREATE TABLE compressible (id bigint, customer int, state text, note text, at timestamptz)`,
	`INSERT INTO compressible SELECT n, n % 5000, (ARRAY['new', 'paid', 'sent'])[1 + n % 3],
		'Order number ' || n || ' of customer ' || n % 5000 || ', to be delivered to the usual address',
		timestamptz '2026-01-01' + n * interval '1 second' FROM generate_series(1, 4300000) n`,
	`CREATE TABLE random (id bigint, key uuid, payload text)`,
	`INSERT INTO random SELECT n, gen_random_uuid(), ${Array(8).fill('md5(random()::text)').join(' || ')}
		FROM generate_series(1, 1700000) n`,
	`ALTER TABLE compressible ADD PRIMARY KEY (id)`,
	`CREATE INDEX ON compressible (customer)`,
	`CREATE INDEX ON compressible (at)`,
	`ALTER TABLE random ADD PRIMARY KEY (id)`,
	`CREATE UNIQUE INDEX ON random (key)`,
];

interface Measured {
	seconds: number;
	mebibytes: number;
}

/** What a process of its own does with the arguments of `measure`. */
interface Job {
	connection: PostgresConnection;
	file: string;
	parallel: number;
}

async function measure({ connection, file, parallel }: Job): Promise<Measured> {
	const before = process.memoryUsage().rss;
	let highest = before;
	const timer = setInterval(() => (highest = Math.max(highest, process.memoryUsage().rss)), 20);
	const start = performance.now();
	await restorePostgres(connection, async () => openFile(file), {
		target: { kind: 'new' },
		parallelConnections: parallel,
	});
	clearInterval(timer);
	return { seconds: (performance.now() - start) / 1000, mebibytes: (highest - before) / MEBIBYTE };
}

async function ours(program: string, job: Job): Promise<Measured> {
	const child = spawn(process.execPath, [program, JSON.stringify(job)], {
		stdio: ['ignore', 'pipe', 'inherit'],
	});
	let output = '';
	for await (const text of child.stdout) output += String(text);
	return JSON.parse(output) as Measured;
}

async function psql(server: PostgresServer, database: string, ...args: string[]): Promise<void> {
	await run('psql', ['-X', '-q', '-v', 'ON_ERROR_STOP=1', ...args], { env: server.env(database) });
}

async function seconds(work: () => Promise<unknown>): Promise<number> {
	const start = performance.now();
	await work();
	return (performance.now() - start) / 1000;
}

/** Each side into a database of its own that is fresh, and gone afterwards; creating it belongs to the work. */
async function withTarget<Result>(server: PostgresServer, use: () => Promise<Result>): Promise<Result> {
	try {
		return await use();
	} finally {
		await psql(server, 'postgres', '-c', 'DROP DATABASE IF EXISTS target');
		await psql(server, 'postgres', '-c', 'CHECKPOINT');
	}
}

export async function bench(): Promise<void> {
	const folder = await mkdtemp(join(tmpdir(), 'lifeboat-bench-'));
	const server = await startPostgres({
		version: 15,
		settings: { shared_buffers: '256MB', max_wal_size: '4GB' },
	});
	try {
		const program = (await compileProject(join(folder, 'compiled')))(__filename);
		await psql(server, 'postgres', '-c', 'CREATE DATABASE source');
		await psql(server, 'source', ...source.flatMap((sql) => ['-c', sql]));
		const sql = join(folder, 'source.sql');
		const archive = join(folder, 'source.dump');
		await run('pg_dump', ['-f', sql, 'source'], { env: server.env('source') });
		await run('pg_dump', ['-Fc', '-f', archive, 'source'], { env: server.env('source') });
		await psql(server, 'postgres', '-c', 'DROP DATABASE source');
		console.log(`Restore of ${Math.round((await stat(sql)).size / 1e6)} MB of SQL text`);

		const connection = server.connection('target');
		const create = () => psql(server, 'postgres', '-c', 'CREATE DATABASE target TEMPLATE template0');
		const env = server.env('target');
		const cases: Record<string, () => Promise<Measured | number>> = {
			'psql -f': () => seconds(async () => (await create(), psql(server, 'target', '-f', sql))),
			'SQL, one connection': () => ours(program, { connection, file: sql, parallel: 1 }),
			'SQL, two connections': () => ours(program, { connection, file: sql, parallel: 2 }),
			'pg_restore -j2': () =>
				seconds(async () => (await create(), run('pg_restore', ['-j2', '-d', 'target', archive], { env }))),
			'archive, two connections': () => ours(program, { connection, file: archive, parallel: 2 }),
		};
		const best = new Map<string, Measured>();
		for (let round = 0; round < ROUNDS; round++) {
			for (const [name, work] of Object.entries(cases)) {
				const result = await withTarget(server, work);
				const measured = typeof result === 'number' ? { seconds: result, mebibytes: 0 } : result;
				const known = best.get(name) ?? measured;
				best.set(name, {
					seconds: Math.min(known.seconds, measured.seconds),
					mebibytes: Math.max(known.mebibytes, measured.mebibytes),
				});
			}
		}
		console.table(
			[...best].map(([what, result]) => ({
				what,
				seconds: result.seconds.toFixed(2),
				'MiB more': Math.round(result.mebibytes) || '',
			})),
		);
		const ratio = (a: string, b: string) => (best.get(a)!.seconds / best.get(b)!.seconds).toFixed(2);
		const memory = Math.max(...[...best.values()].map(({ mebibytes }) => mebibytes));
		console.log(`postgres-restore-sql ratio=${ratio('SQL, two connections', 'psql -f')} limit=1`);
		console.log(
			`postgres-restore-sql-one-connection ratio=${ratio('SQL, one connection', 'psql -f')} limit=1`,
		);
		console.log(
			`postgres-restore-archive ratio=${ratio('archive, two connections', 'pg_restore -j2')} limit=1`,
		);
		console.log(`postgres-restore-memory ratio=${(memory / 100).toFixed(2)} limit=1`);
	} finally {
		await server.stop();
		await rm(folder, { recursive: true, force: true });
	}
}

if (require.main === module) {
	void measure(JSON.parse(process.argv[2]!) as Job).then((result) =>
		process.stdout.write(JSON.stringify(result)),
	);
}
