import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import type { Production } from '../../../../../lib/artifact/produce';
import { postgresEngine, type PostgresDumpOptions } from '../../../../../lib/databases/postgres';
import { startPostgres, type PostgresServer } from '../../../../servers/postgres';
import { dumpText, dumpToFile, nativeDumpText, psql, withDatabase, withFolder } from '../helpers';

describe('a plain dump', () => {
	let server: PostgresServer;

	before(async () => {
		server = await startPostgres({ version: 15 });
	});
	after(async () => server.stop());

	for (const standard of ['on', 'off']) {
		test(`has large objects as pg_dump writes them, standard_conforming_strings ${standard}`, async () => {
			await withDatabase(server, async (source) => {
				await psql(server, 'postgres', {
					sql: `ALTER DATABASE ${source} SET standard_conforming_strings = ${standard}`,
				});
				const bytes = (count: number) =>
					`(SELECT string_agg(sha256(i::text::bytea), '' ORDER BY i) FROM generate_series(1, ${count / 32}) i)`;
				await psql(server, source, {
					sql: `SELECT lo_create(1), lo_from_bytea(2, 'a'), lo_from_bytea(3, ${bytes(16_384)}),
						lo_from_bytea(4, ${bytes(1_048_576)}), lo_from_bytea(4294967295, ${bytes(700_000)})`,
				});
				const writes = (text: string) => text.match(/^SELECT pg_catalog\.lo_?(?:open|write|close).*$/gm);
				const own = writes(await dumpText(server.connection(source)));
				assert.equal(own?.length, 5 * 2 + 1 + 1 + 64 + 43);
				assert.deepEqual(own, writes(await nativeDumpText(server, source)));
				await withFolder(async (folder) => {
					const file = join(folder, 'dump.sql');
					await dumpToFile(server.connection(source), file);
					await withDatabase(server, async (target) => {
						await psql(server, target, { file });
						const sql = 'SELECT oid, sha256(lo_get(oid)) FROM pg_largeobject_metadata ORDER BY oid';
						assert.equal(await psql(server, target, { sql }), await psql(server, source, { sql }));
					});
				});
			});
		});
	}

	describe('over several connections', () => {
		/** Two tables that no buffer holds, and others in between. */
		const big = (name: string, rows = 5000) =>
			`CREATE TABLE ${name} AS SELECT i, repeat(md5(i::text), 100) AS t, 'before' AS state FROM generate_series(1, ${rows}) i;`;
		const small = Array.from({ length: 40 }, (_, i) => `CREATE TABLE b${i} AS SELECT ${i} AS x;`).join('\n');
		const sql = `${big('a')} ${small} ${big('c')} ${big('d')} SELECT lo_from_bytea(7, 'x')`;

		test('is the text that one connection makes', async () => {
			await withDatabase(server, async (source) => {
				await psql(server, source, { sql });
				const text = async (parallelConnections: number) =>
					(await dumpText(server.connection(source), { parallelConnections })).replaceAll(
						/^(\\(?:un)?restrict) \w+$/gm,
						'$1',
					);
				const [one, three] = [await text(1), await text(3)];
				assert.ok(one.length > 45_000_000);
				assert.ok(one === three, 'the texts differ');
			});
		});

		for (const options of [
			{},
			{ format: 'custom', archiveCompression: 'none' },
		] satisfies PostgresDumpOptions[]) {
			test(`reads tables at a time, all as of the same moment ${JSON.stringify(options)}`, async () => {
				await withDatabase(server, async (source) => {
					await psql(server, source, { sql: ['a', 'b', 'c'].map((name) => big(name, 10_000)).join('\n') });
					let text = '';
					const production = await start(source, { ...options, parallelConnections: 3 });
					for await (const chunk of production.stream) {
						if (text === '') {
							for (let i = 0; (await copying(source)) !== '3\n'; i++) {
								assert.ok(i < 100, 'never three at a time');
								await sleep(50);
							}
							await psql(server, source, {
								sql: "UPDATE c SET state = 'after'; UPDATE a SET state = 'after'",
							});
						}
						text += (chunk as Buffer).toString('latin1');
					}
					const { tables } = await production.finish();
					assert.deepEqual(
						tables?.map(({ rows }) => rows),
						[10_000, 10_000, 10_000],
					);
					assert.equal(text.match(/\tbefore$/gm)?.length, 30_000);
				});
			});
		}

		test('does not wait behind who waits for a table', async () => {
			await withDatabase(server, async (source) => {
				await psql(server, source, { sql: `${big('a')} ${big('b')} CREATE TABLE c AS TABLE b; ${big('d')}` });
				// For ever: who waited behind would never end.
				const production = await start(source, { parallelConnections: 2, lockTimeoutMs: 0 });
				let altered: Promise<unknown> | undefined;
				let rows = 0;
				for await (const chunk of production.stream) {
					if (!altered) {
						altered = psql(server, source, { sql: 'ALTER TABLE c DROP COLUMN t' });
						const waiting = { sql: 'SELECT count(*) FROM pg_locks WHERE NOT granted' };
						for (let i = 0; (await psql(server, 'postgres', waiting)) !== '1\n'; i++) {
							assert.ok(i < 100, 'nobody waits');
							await sleep(50);
						}
					}
					rows += (chunk as Buffer).toString('latin1').split('\tbefore\n').length - 1;
				}
				await production.finish();
				// A row may lie in two chunks.
				assert.ok(rows > 19_000 && rows <= 20_000);
				await altered;
			});
		});

		for (const [which, victim] of [
			['that reads ahead', "query LIKE '%COPY public.c %'"],
			['that holds the snapshot', "query NOT LIKE '%COPY %'"],
		] as const) {
			test(`is never whole when the one ${which} is lost`, async () => {
				await withDatabase(server, async (source) => {
					await psql(server, source, { sql: `${big('a', 15_000)} ${big('c', 15_000)}` });
					const production = await start(source, { parallelConnections: 2 });
					let isKilled = false;
					const read = async () => {
						for await (const chunk of production.stream) {
							assert.ok(chunk);
							if (isKilled) continue;
							for (let i = 0; (await copying(source)) !== '2\n'; i++) {
								assert.ok(i < 100, 'never two at a time');
								await sleep(50);
							}
							const killed = await psql(server, 'postgres', {
								sql: `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE ${ours(source)} AND ${victim}`,
							});
							assert.equal(killed, '1\n');
							isKilled = true;
						}
					};
					await assert.rejects(read(), { code: 'CONNECTION_LOST' });
					await assert.rejects(production.finish(), { code: 'INCOMPLETE' });
					await untilNothingRuns(source);
				});
			});
		}

		test('ends all of them when it is cancelled', async () => {
			await withDatabase(server, async (source) => {
				await psql(server, source, { sql: `${big('a', 15_000)} ${big('c', 15_000)}` });
				const controller = new AbortController();
				const production = await start(source, { parallelConnections: 2 }, controller.signal);
				const read = async () => {
					for await (const chunk of production.stream) {
						assert.ok(chunk);
						controller.abort();
					}
				};
				await assert.rejects(read(), { code: 'CANCELLED' });
				await assert.rejects(production.finish(), { code: 'INCOMPLETE' });
				await untilNothingRuns(source);
			});
		});

		async function start(
			source: string,
			options: PostgresDumpOptions,
			signal?: AbortSignal,
		): Promise<Production> {
			return (await postgresEngine.prepareDump(server.connection(source), options)).start(signal);
		}

		const ours = (source: string) => `application_name = 'n8n-nodes-lifeboat' AND datname = '${source}'`;

		const copying = async (source: string) =>
			psql(server, 'postgres', {
				sql: `SELECT count(*) FROM pg_stat_activity WHERE ${ours(source)} AND state = 'active' AND query LIKE '%COPY public.%'`,
			});

		async function untilNothingRuns(source: string): Promise<void> {
			const count = async () =>
				psql(server, 'postgres', { sql: `SELECT count(*) FROM pg_stat_activity WHERE ${ours(source)}` });
			for (let i = 0; (await count()) !== '0\n'; i++) {
				assert.ok(i < 100, 'connections stayed behind');
				await sleep(50);
			}
		}
	});
});
