import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

import { verifyArchive } from '../../../../../lib/databases/postgres/archive/verify';
import { postgresEngine } from '../../../../../lib/databases/postgres';
import { proveCustomArchive } from '../../../../../lib/verification/custom-archive';
import type { Manifest } from '../../../../../lib/artifact/manifest';
import { startPostgres, type PostgresMajor, type PostgresServer } from '../../../../servers/postgres';
import { startTcpProxy } from '../../../../servers/tcp-proxy';
import {
	assertSameText,
	compareDatabases,
	createBytes,
	dumpToFile,
	nativeDumpText,
	normalizeDump,
	psql,
	withClient,
	withDatabase,
	withFolder,
} from '../helpers';

const run = promisify(execFile);
const torture = join(__dirname, '..', 'restore', 'torture.sql');
const oddObjects = join(__dirname, 'odd-objects.sql');

async function pgRestore(server: PostgresServer, database: string, file: string): Promise<void> {
	await run('pg_restore', ['--exit-on-error', '--dbname', database, file], { env: server.env() });
}

for (const version of [13, 15, 18] satisfies PostgresMajor[]) {
	describe(`a custom archive, PostgreSQL ${version}`, () => {
		let server: PostgresServer;

		before(async () => {
			server = await startPostgres({ version, settings: { wal_level: 'logical' } });
			await psql(server, 'postgres', {
				sql: 'CREATE ROLE reader; CREATE ROLE owner; CREATE ROLE "Ö; owner"',
			});
			await psql(server, 'postgres', { sql: 'CREATE DATABASE "so\'u\\rce" TEMPLATE template0' });
			for (const file of [torture, oddObjects]) await psql(server, "so'u\\rce", { file });
			await psql(server, "so'u\\rce", {
				sql: "SELECT lo_from_bytea(5000, decode(repeat('00ff5c0a2e', 300000), 'hex')), lo_from_bytea(5001, decode(repeat('ab', 524288), 'hex'))",
			});
		});
		after(async () => server.stop());

		test('goes out and, with pg_restore 15, back', async () => {
			await withFolder(async (folder) =>
				withDatabase(server, async (target) => {
					const file = join(folder, 'shop.dump');
					const tables = await dumpToFile(server.connection("so'u\\rce"), file, { format: 'custom' });
					assert.equal(tables.find(({ name }) => name === 'orders')?.rows, 500);
					const { stdout } = await run('pg_restore', ['--list', file]);
					assert.match(stdout, /^; {5}dbname: so'u\\rce\n/m);
					await pgRestore(server, target, file);
					await compareDatabases(server, "so'u\\rce", server, target);
					const manifest = { fileName: 'shop.dump', tables } as unknown as Manifest;
					assert.match(
						(await proveCustomArchive(createReadStream(file), manifest))[1]!,
						/tables have the rows/,
					);
					tables.find(({ name }) => name === 'orders')!.rows -= 1;
					await assert.rejects(proveCustomArchive(createReadStream(file), manifest), {
						code: 'ROW_COUNT_MISMATCH',
					});
				}),
			);
		});

		test('is one whatever its compression', async () => {
			await withFolder(async (folder) => {
				for (const archiveCompression of ['none', 'zstd'] as const) {
					const file = join(folder, archiveCompression);
					await dumpToFile(server.connection("so'u\\rce"), file, { format: 'custom', archiveCompression });
					const archive = await verifyArchive(createReadStream(file));
					assert.equal(archive.toc.compression, archiveCompression);
					assert.deepEqual(archive.largeObjects, { count: 4, bytes: 100_000 + 1_500_000 + 524_288 });
				}
			});
		});
	});
}

describe('a custom archive of', () => {
	let server: PostgresServer;

	before(async () => {
		server = await startPostgres({ version: 15 });
		await psql(server, 'postgres', {
			sql: `CREATE TYPE colour AS ENUM ('red', 'green', 'blue');
			CREATE TABLE by_hash (k colour, v integer) PARTITION BY HASH (k);
			CREATE TABLE by_hash_0 PARTITION OF by_hash FOR VALUES WITH (MODULUS 2, REMAINDER 0);
			CREATE TABLE by_hash_1 PARTITION OF by_hash FOR VALUES WITH (MODULUS 2, REMAINDER 1);
			INSERT INTO by_hash SELECT (ARRAY['red', 'green', 'blue'])[1 + i % 3]::colour, i FROM generate_series(1, 30) i;
			CREATE TABLE many AS SELECT i, md5(i::text) AS t FROM generate_series(1, 100000) i`,
		});
	});
	after(async () => server.stop());

	test('hash partitions over an enum comes back through their root', async () => {
		await withFolder(async (folder) => {
			const file = join(folder, 'hash.dump');
			const tables = await dumpToFile(server.connection(), file, { format: 'custom' });
			assert.deepEqual(tables[0], { schema: 'public', name: 'by_hash', rows: 30 });
			const { toc } = await verifyArchive(createReadStream(file));
			const data = toc.entries.find(({ tag, desc }) => desc === 'TABLE DATA' && tag === 'by_hash_0');
			assert.equal(data?.copyStmt, 'COPY public.by_hash (k, v) FROM stdin;\n');
			assert.equal(data.defn, '-- load via partition root public.by_hash');
			for (let i = 0; i < 2; i++) {
				await withDatabase(server, async (target) => {
					await pgRestore(server, target, file);
					const sql = 'SELECT count(*), sum(v) FROM by_hash';
					assert.equal(await psql(server, target, { sql }), '30|465\n');
				});
			}
		});
	});

	test('a database that knows no encoding keeps its bytes', async () => {
		const clause = "ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'";
		await withDatabase(
			server,
			async (source) => {
				await createBytes(server, source);
				await withFolder(async (folder) =>
					withDatabase(
						server,
						async (target) => {
							const file = join(folder, 'bytes.dump');
							const tables = await dumpToFile(server.connection(source), file, { format: 'custom' });
							assert.equal(tables[0]?.rows, 1);
							await pgRestore(server, target, file);
							assertSameText(
								normalizeDump(await nativeDumpText(server, source)),
								normalizeDump(await nativeDumpText(server, target)),
							);
						},
						clause,
					),
				);
			},
			clause,
		);
	});

	test('several connections is the same, whatever is written meanwhile', async () => {
		await withDatabase(server, async (source) => {
			const names = Array.from({ length: 9 }, (_, i) => `account_${i}`);
			await psql(server, source, {
				sql: `${names.map((name) => `CREATE TABLE ${name} AS SELECT i AS id, 1000 AS amount, repeat('x', 500) AS t, now() AS at, 0.1::float8 + 0.2 AS f FROM generate_series(1, 3000) i;`).join('')}
				SELECT lo_from_bytea(5000, decode(repeat('00ff', 400000), 'hex')); ALTER DATABASE ${source} SET timezone = 'Asia/Tokyo'; ALTER DATABASE ${source} SET datestyle = 'German'`,
			});
			let writing = true;
			let written = 0;
			const write = withClient(server.connection(source), async (client) => {
				for (let i = 0; writing; i++) {
					const [from, to] = [names[i % 9], names[(i * 4 + 1) % 9]];
					await client.query(
						`BEGIN; UPDATE ${from} SET amount = amount - 1 WHERE id = ${1 + (i % 3000)}; UPDATE ${to} SET amount = amount + 1 WHERE id = ${1 + (i % 3000)}; COMMIT`,
					);
					written += 1;
				}
			});
			await withFolder(async (folder) => {
				const file = join(folder, 'parallel.dump');
				const tables = await dumpToFile(server.connection(source), file, {
					...{ format: 'custom', archiveCompression: 'gzip', archiveLevel: 1, parallelConnections: 3 },
				});
				writing = false;
				await write;
				assert.ok(written > 20, 'nothing was written during the dump');
				assert.deepEqual(
					tables,
					names.map((name) => ({ schema: 'public', name, rows: 3000 })),
				);
				await withDatabase(server, async (target) => {
					await pgRestore(server, target, file);
					const sums = names.map((name) => `(SELECT sum(amount) FROM ${name})`).join(' + ');
					assert.equal(await psql(server, target, { sql: `SELECT ${sums}` }), '27000000\n');
					const at = { sql: 'SELECT extract(epoch FROM at), f FROM account_0 LIMIT 1' };
					assert.equal(await psql(server, target, at), await psql(server, source, at));
				});
			});
		});
	});

	test('several connections, one of which is lost, is never whole', async () => {
		await withDatabase(server, async (source) => {
			await psql(server, source, {
				sql: `CREATE TABLE a AS SELECT (SELECT string_agg(md5((i * 50 + j)::text), '') FROM generate_series(1, 50) j) AS t FROM generate_series(1, 20000) i; CREATE TABLE b AS TABLE a`,
			});
			const dump = await postgresEngine.prepareDump(server.connection(source), {
				...{ format: 'custom', archiveCompression: 'zstd', parallelConnections: 2 },
			});
			const production = await dump.start();
			let size = 0;
			const read = async () => {
				for await (const chunk of production.stream) {
					const isTime = size < 1_000_000 && size + (chunk as Buffer).length >= 1_000_000;
					size += (chunk as Buffer).length;
					if (!isTime) continue;
					// The one that reads ahead.
					await psql(server, 'postgres', {
						sql: "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LOCK % COPY public.b %'",
					});
				}
			};
			await assert.rejects(read(), { code: 'CONNECTION_LOST' });
			await assert.rejects(production.finish(), { code: 'INCOMPLETE' });
			const ours = {
				sql: "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'n8n-nodes-lifeboat'",
			};
			for (let i = 0; i < 100 && (await psql(server, 'postgres', ours)) !== '0\n'; i++) await sleep(50);
			assert.equal(await psql(server, 'postgres', ours), '0\n');
		});
	});

	test('a server whose connection is lost is never whole', async () => {
		const proxy = await startTcpProxy(server.port, { cutAfter: 2_500_000 });
		try {
			const connection = { ...server.connection(), port: proxy.port };
			const dump = await postgresEngine.prepareDump(connection, { format: 'custom' });
			assert.equal(dump.format, 'pg-custom');
			assert.equal(dump.extension, '.dump');
			const production = await dump.start();
			await assert.rejects(drain(production.stream), { code: 'CONNECTION_LOST' });
			await assert.rejects(production.finish(), { code: 'INCOMPLETE' });
		} finally {
			await proxy.stop();
		}
	});

	async function drain(stream: AsyncIterable<unknown>): Promise<number> {
		let chunks = 0;
		for await (const chunk of stream) chunks += chunk === undefined ? 0 : 1;
		return chunks;
	}
});
