import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';

import { readDatabaseLocale } from '../../../../../../lib/databases/postgres/database-locale';
import { preparePostgresDump } from '../../../../../../lib/databases/postgres/dump/prepare';
import { restorePostgres } from '../../../../../../lib/databases/postgres/restore/restore';
import { startPostgres, type PostgresMajor, type PostgresServer } from '../../../../../servers/postgres';
import { withClient } from '../../helpers';

import { createDatabase, psql, restore } from '../server-tools';

const script = 'CREATE TABLE public.fresh (id integer);\nCOPY public.fresh FROM stdin;\n1\n2\n\\.\n';
const expectedTables = [{ schema: 'public', name: 'fresh', rows: 2 }];
const broken = `${script}SELECT 1/0;`;

for (const version of [13, 18] satisfies PostgresMajor[]) {
	describe(`targets on PostgreSQL ${version}`, () => {
		let server: PostgresServer;
		const databases = async () =>
			psql(
				server,
				'postgres',
				"SELECT string_agg(datname, ',' ORDER BY datname) FROM pg_database WHERE NOT datistemplate",
			);

		before(async () => {
			server = await startPostgres({ version });
			await psql(server, 'postgres', 'CREATE ROLE shop_owner', 'CREATE ROLE clerk');
		});
		after(() => server.stop());

		test('a new database is created, or is not there after a failure', async () => {
			const target = { kind: 'new' } as const;
			const report = await restore(server, 'New; "db"', script, { target, expectedTables });
			assert.deepEqual(report.tables, expectedTables);
			assert.equal(await psql(server, 'New; "db"', 'SELECT count(*) FROM fresh'), '2');
			await assert.rejects(restore(server, 'New; "db"', script, { target }), { code: 'DATABASE_EXISTS' });
			await psql(server, 'postgres', 'DROP DATABASE "New; ""db"""');
			await assert.rejects(restore(server, 'broken', broken, { target }), { code: 'STATEMENT_FAILED' });
			assert.equal(await databases(), 'postgres');
		});

		test('a new database stores and sorts text as that of the backup, or as near to it as the server can', async () => {
			const target = { kind: 'new' } as const;
			const localeOf = async (database: string) =>
				withClient(server.connection(database), async (client) => readDatabaseLocale(client));
			await createDatabase(
				server,
				'latin',
				"TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'",
			);
			const prepared = await preparePostgresDump(server.connection('latin'), {});
			const { locale } = prepared.source;
			assert.equal(locale?.encoding, 'LATIN1');
			const { warnings } = await restore(server, 'alike', script, { target, locale });
			assert.deepEqual(warnings, []);
			assert.deepEqual(await localeOf('alike'), locale);

			const elsewhere = { encoding: 'UTF8', collate: 'xx_YY.UTF-8', ctype: 'xx_YY.UTF-8', provider: 'c' };
			const [warning] = (await restore(server, 'near', script, { target, locale: elsewhere })).warnings;
			assert.match(warning!, /^near was created with UTF8, .*can't give it .*UTF8, xx_YY\.UTF-8 \(/);
			assert.equal((await localeOf('near')).encoding, 'UTF8');
			// The encoding counts for more than the sorting: the server's default locale is none for LATIN1.
			const unknown = { ...elsewhere, encoding: 'LATIN1', provider: 'i', locale: 'de-AT' };
			const other = await restore(server, 'far', script, { target, locale: unknown });
			assert.equal(other.warnings.length, 1);
			assert.equal((await localeOf('far')).encoding, 'LATIN1');
			for (const name of ['latin', 'alike', 'near', 'far'])
				await psql(server, 'postgres', `DROP DATABASE ${name}`);
		});

		test('a database in use is replaced in one moment, with its settings, privileges and owner', async () => {
			await createDatabase(
				server,
				'shop',
				"OWNER shop_owner ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0 CONNECTION LIMIT 30",
			);
			await psql(
				server,
				'shop',
				'CREATE TABLE old (x int)',
				`ALTER DATABASE shop SET search_path TO '', "My s", public`,
				"ALTER DATABASE shop SET work_mem TO '3MB'",
				"ALTER DATABASE shop SET custom.thing TO 'a, b'",
				"ALTER ROLE clerk IN DATABASE shop SET statement_timeout TO '5s'",
				"COMMENT ON DATABASE shop IS 'the shop''s'",
				'REVOKE ALL ON DATABASE shop FROM PUBLIC',
				'GRANT CONNECT ON DATABASE shop TO clerk WITH GRANT OPTION',
			);
			const properties = `SELECT datname, pg_get_userbyid(datdba), pg_encoding_to_char(encoding), datcollate, datctype, datconnlimit,
				datacl, shobj_description(d.oid, 'pg_database'),
				(SELECT string_agg(setrole || ':' || setconfig::text, ';' ORDER BY setrole) FROM pg_db_role_setting WHERE setdatabase = d.oid)
				FROM pg_database d WHERE datname = 'shop'`;
			const before = await psql(server, 'postgres', properties);

			// A client that always comes back, as an application does.
			let stop = false;
			let served = 0;
			const busy = (async () => {
				while (!stop) {
					await withClient(server.connection('shop'), async (client) => {
						while (!stop) {
							await client.query('SELECT pg_catalog.pg_sleep(0.02)');
							served += 1;
						}
					}).catch(() => undefined);
				}
			})();
			await sleep(200);
			const report = await restore(server, 'shop', script, {
				expectedTables,
				target: { kind: 'swap', now: new Date('2026-11-21T02:03:04Z') },
			});
			const servedBefore = served;
			await sleep(200);
			stop = true;
			await busy;
			assert.ok(servedBefore > 0 && served > servedBefore, 'the database served before and after');
			assert.equal(report.database, 'shop');
			assert.equal(report.keptAs, 'shop_before_20261121_020304');
			assert.equal(await databases(), 'postgres,shop,shop_before_20261121_020304');
			assert.equal(await psql(server, 'shop', 'SELECT count(*) FROM public.fresh'), '2');
			assert.equal(await psql(server, 'postgres', properties), before);
			assert.equal(await psql(server, 'shop_before_20261121_020304', 'SELECT count(*) FROM public.old'), '0');

			const second = await restore(server, 'shop', script, { target: { kind: 'swap', old: 'drop' } });
			assert.equal(second.keptAs, undefined);
			assert.equal(await databases(), 'postgres,shop,shop_before_20261121_020304');
			// The same second once more: the name is taken.
			const target = { kind: 'swap', now: new Date('2026-11-21T02:03:04Z') } as const;
			const third = await restore(server, 'shop', script, { target });
			assert.equal(third.keptAs, 'shop_before_20261121_020304_2');
			await psql(server, 'postgres', 'DROP DATABASE shop_before_20261121_020304_2');
			await psql(server, 'postgres', 'DROP DATABASE shop', 'DROP DATABASE shop_before_20261121_020304');
		});

		test('a restore that fails or is cancelled leaves the old database untouched and its sessions alone', async () => {
			await createDatabase(server, 'live');
			await psql(server, 'live', 'CREATE TABLE old AS SELECT 1 AS x');
			await withClient(server.connection('live'), async (client) => {
				await client.query('BEGIN');
				await client.query('INSERT INTO old VALUES (2)');
				const target = { kind: 'swap' } as const;
				await assert.rejects(restore(server, 'live', broken, { target }), { code: 'STATEMENT_FAILED' });
				await assert.rejects(
					restore(server, 'live', script, { target, expectedTables: [{ ...expectedTables[0]!, rows: 3 }] }),
					{ code: 'ROW_COUNT_MISMATCH' },
				);
				const stop = new AbortController();
				const running = restorePostgres(
					server.connection('live'),
					async () =>
						Readable.from(
							(async function* () {
								yield Buffer.from(script);
								setTimeout(() => stop.abort(), 100);
								await sleep(60_000, undefined, { signal: stop.signal });
							})(),
						),
					{ target },
					{ signal: stop.signal },
				);
				await assert.rejects(running, { code: 'CANCELLED' });
				await client.query('COMMIT');
			});
			assert.equal(await psql(server, 'live', 'SELECT sum(x) FROM old'), '3');
			assert.equal(await databases(), 'live,postgres');
			await psql(server, 'postgres', 'DROP DATABASE live');
		});

		test('a script that names the database it goes into means the new content, not the old one', async () => {
			await createDatabase(server, 'live');
			const text = `\\connect live\nALTER DATABASE live SET work_mem = '7MB';\n${script}`;
			const marked = text.replace('CREATE TABLE', "COMMENT ON DATABASE live IS 'restored';\nCREATE TABLE");
			assert.notEqual(marked, text);
			const target = { kind: 'swap' } as const;
			await assert.rejects(restore(server, 'live', `${marked}SELECT broken;`, { target }));
			const settings = (name: string) =>
				psql(
					server,
					'postgres',
					`SELECT count(setconfig), max(shobj_description(d.oid, 'pg_database')) FROM pg_database d
					LEFT JOIN pg_db_role_setting ON setdatabase = d.oid WHERE datname = '${name}'`,
				);
			assert.equal(await settings('live'), '0|');
			const report = await restore(server, 'live', marked, { target });
			assert.equal(await settings(report.keptAs!), '0|');
			await psql(server, 'postgres', 'DROP DATABASE live', `DROP DATABASE "${report.keptAs}"`);
		});

		test('a database that is not there yet is created by a swap', async () => {
			const report = await restore(server, 'absent', script, { target: { kind: 'swap' } });
			assert.equal(report.keptAs, undefined);
			assert.equal(await psql(server, 'absent', 'SELECT count(*) FROM fresh'), '2');
			await psql(server, 'postgres', 'DROP DATABASE absent');
		});
	});
}
