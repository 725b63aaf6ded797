import assert from 'node:assert/strict';
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import {
	databaseOverview,
	listDatabases,
	postgresEngine,
	type PostgresDumpOptions,
} from '../../../../../lib/databases/postgres';
import type { Progress } from '../../../../../lib/databases/engine';
import { startPostgres, type PostgresServer } from '../../../../servers/postgres';
import { dumpText, dumpToFile, psql, withClient, withDatabase, withFolder } from '../helpers';

describe('dump', () => {
	let server: PostgresServer;

	before(async () => {
		server = await startPostgres({ version: 18 });
		await psql(server, 'postgres', {
			sql: `CREATE SCHEMA shop; CREATE SCHEMA log;
			CREATE TABLE shop.orders AS SELECT i, 'order ' || i AS t FROM generate_series(1, 1000) i;
			CREATE TABLE log.events AS SELECT i, 'event ' || i AS t FROM generate_series(1, 10) i;
			SELECT lo_from_bytea(4711, '\\x00ff');
			ANALYZE`,
		});
	});
	after(async () => server.stop());

	test('says what it is before it starts', async () => {
		const connection = server.connection();
		const dump = await postgresEngine.prepareDump(connection, {});
		assert.equal(dump.format, 'plain-sql');
		assert.equal(dump.extension, '.sql');
		assert.match(dump.source.serverVersion, /^18\.\d+$/);
		assert.deepEqual(
			{ ...dump.source, serverVersion: '' },
			{
				type: 'database',
				engine: 'postgresql',
				serverVersion: '',
				database: 'postgres',
				locale: { encoding: 'UTF8', collate: 'C.UTF-8', ctype: 'C.UTF-8', provider: 'c' },
			},
		);
		const withHost = await postgresEngine.prepareDump(connection, { includeHost: true });
		assert.equal(withHost.source.host, '127.0.0.1');
	});

	test('takes a Unix socket', async () => {
		const connection = { ...server.connection(), host: server.folder };
		assert.equal(await withoutKey(dumpText(connection)), await withoutKey(dumpText(server.connection())));
	});

	test('leaves out what the options say', async () => {
		const connection = server.connection();
		const text = async (options: Parameters<typeof dumpText>[1]) => dumpText(connection, options);
		const orders = /^COPY shop\.orders .*;\n1\torder 1$/m;
		const events = /^COPY log\.events .*;\n1\tevent 1$/m;
		const object = /lo_create\('4711'\)/;

		const whole = await text({});
		for (const part of [orders, events, object, /OWNER TO/]) assert.match(whole, part);
		assert.doesNotMatch(whole, /^DROP /m);

		for (const options of [
			{ schemas: ['shop'] },
			{ excludeSchemas: ['log'] },
			{ tables: ['shop.o*'] },
			{ excludeTables: ['log.*'] },
		]) {
			const some = await text(options);
			assert.match(some, orders);
			assert.doesNotMatch(some, events);
		}
		const schema = await text({ schemaOnly: true });
		assert.match(schema, /CREATE TABLE shop\.orders/);
		assert.doesNotMatch(schema, /^COPY/m);
		const data = await text({ dataOnly: true });
		assert.match(data, orders);
		assert.doesNotMatch(data, /CREATE TABLE/);
		const excluded = await text({ excludeTableData: ['shop.orders'] });
		assert.match(excluded, /CREATE TABLE shop\.orders/);
		assert.doesNotMatch(excluded, /COPY shop\.orders/);
		assert.doesNotMatch(await text({ noOwner: true }), /OWNER TO/);
		assert.doesNotMatch(await text({ largeObjects: false }), object);
		assert.match(await text({ schemas: ['shop'], largeObjects: true }), object);
		assert.match(await text({ clean: true }), /^DROP TABLE shop\.orders;$/m);
		assert.match(await text({ clean: true, ifExists: true }), /^DROP TABLE IF EXISTS shop\.orders;$/m);
	});

	test('tells how far it is', async () => {
		const seen: Progress[] = [];
		await withFolder(async (folder) =>
			dumpToFile(
				server.connection(),
				join(folder, 'dump.sql'),
				{},
				{ onProgress: (progress) => seen.push(progress) },
			),
		);
		assert.deepEqual(
			[...new Set(seen.map(({ step }) => step))],
			['rows of table log.events', 'rows of table shop.orders'],
		);
		const { tablesDone, tablesTotal, estimatedRows, estimatedBytes, bytes } = seen.at(-1)!;
		assert.deepEqual([tablesDone, tablesTotal, estimatedRows], [1, 2, 1010]);
		assert.ok(bytes! > 10_000 && estimatedBytes! > 10_000);
	});

	test('says where the sequences stand, as the dump itself sets them', async () => {
		await withDatabase(server, async (source) => {
			await psql(server, source, {
				sql: `CREATE SCHEMA "o'dd.""x"; CREATE SEQUENCE "o'dd.""x"."Zähler; 1";
				SELECT setval('"o''dd.""x"."Zähler; 1"', 9223372036854775807);
				CREATE SEQUENCE down INCREMENT -3 MINVALUE -100 MAXVALUE 100 START -1; SELECT nextval('down'), nextval('down');
				CREATE SEQUENCE fresh START 5; CREATE TABLE t (id integer GENERATED ALWAYS AS IDENTITY);
				CREATE SEQUENCE log_only; INSERT INTO t DEFAULT VALUES; INSERT INTO t DEFAULT VALUES`,
			});
			const expected = [
				['o\'dd."x', 'Zähler; 1', '9223372036854775807', true],
				['public', 'down', '-4', true],
				['public', 'fresh', '5', false],
				['public', 'log_only', '1', false],
				['public', 't_id_seq', '2', true],
			];
			for (const options of [{}, { format: 'custom' as const }, { dataOnly: true }]) {
				const { sequences } = await findings(source, options);
				assert.deepEqual(
					sequences!.map(({ schema, name, lastValue, isCalled }) => [schema, name, lastValue, isCalled]),
					expected,
				);
			}
			assert.deepEqual((await findings(source, { excludeTables: ['log_only', 'f*'] })).sequences!.length, 3);
			assert.deepEqual((await findings(source, { schemaOnly: true })).sequences, []);
		});
	});

	/** What a dump says of itself in its manifest. */
	async function findings(database: string, options: PostgresDumpOptions) {
		const dump = await postgresEngine.prepareDump(server.connection(database), options);
		const production = await dump.start();
		for await (const chunk of production.stream) assert.ok((chunk as Buffer).length > 0);
		return production.finish();
	}

	test('can be started twice', async () => {
		const dump = await postgresEngine.prepareDump(server.connection(), {});
		const [a, b] = await Promise.all([dump.start(), dump.start()]);
		a.stream.resume();
		b.stream.resume();
		await Promise.all(
			[a, b].map(async ({ stream }) => new Promise((resolve) => stream.once('end', resolve))),
		);
		assert.deepEqual(await a.finish(), await b.finish());
	});

	test('shows one moment of a database that is written to', async () => {
		await withDatabase(server, async (source) => {
			await psql(server, source, {
				sql: `CREATE TABLE a_account (id integer PRIMARY KEY, amount integer); CREATE TABLE b_entry (n integer);
				CREATE TABLE m_filler AS SELECT i, repeat(md5(i::text), 20) AS t FROM generate_series(1, 30000) i;
				CREATE TABLE z_account (id integer PRIMARY KEY, amount integer);
				INSERT INTO a_account SELECT i, 1000 FROM generate_series(1, 50) i;
				INSERT INTO z_account SELECT i, 1000 FROM generate_series(1, 50) i`,
			});
			let writing = true;
			let transfers = 0;
			const write = withClient(server.connection(source), async (client) => {
				for (let i = 0; writing; i++) {
					const id = 1 + (i % 50);
					await client.query(
						`BEGIN; UPDATE a_account SET amount = amount - 1 WHERE id = ${id}; INSERT INTO b_entry VALUES (${i});
						UPDATE z_account SET amount = amount + 1 WHERE id = ${id}; COMMIT`,
					);
					transfers += 1;
				}
			});
			await withFolder(async (folder) => {
				const file = join(folder, 'dump.sql');
				const dump = await postgresEngine.prepareDump(server.connection(source), {});
				const production = await dump.start();
				let before = 0;
				await pipeline(
					production.stream,
					async function* (chunks: AsyncIterable<Buffer>) {
						for await (const chunk of chunks) {
							// Slowly, so that much is written in between.
							if (before === 0) before = transfers;
							await sleep(20);
							yield chunk;
						}
					},
					createWriteStream(file),
				);
				const { tables } = await production.finish();
				writing = false;
				await write;
				assert.ok(transfers > before + 20, 'nothing was written during the dump');
				await withDatabase(server, async (target) => {
					await psql(server, target, { file });
					const [sum, lost, entries] = (
						await psql(server, target, {
							sql: `SELECT (SELECT sum(amount) FROM a_account) + (SELECT sum(amount) FROM z_account),
							50000 - (SELECT sum(amount) FROM a_account), (SELECT count(*) FROM b_entry)`,
						})
					)
						.trim()
						.split('|');
					assert.equal(sum, '100000');
					assert.equal(lost, entries);
					assert.equal(tables!.find(({ name }) => name === 'b_entry')!.rows, Number(entries));
				});
			});
		});
	});

	test('does not tell of the counter that some servers keep among the options of columns', async () => {
		await withDatabase(server, async (source) => {
			await psql(server, source, {
				sql: `CREATE TABLE t (a integer, b integer, c integer);
				ALTER TABLE t ALTER a SET (n_distinct = 5), ALTER b SET (n_distinct = 7);
				UPDATE pg_attribute SET attoptions = attoptions || '{pg_attver=3}' WHERE attrelid = 't'::regclass AND attname = 'a';
				UPDATE pg_attribute SET attoptions = '{pg_attver=1}' || attoptions WHERE attrelid = 't'::regclass AND attname = 'b';
				UPDATE pg_attribute SET attoptions = '{pg_attver=9}' WHERE attrelid = 't'::regclass AND attname = 'c'`,
			});
			const text = await dumpText(server.connection(source));
			assert.doesNotMatch(text, /pg_attver/);
			assert.deepEqual(text.match(/^ALTER TABLE ONLY .* SET \(.*$/gm), [
				'ALTER TABLE ONLY public.t ALTER COLUMN a SET (n_distinct=5);',
				'ALTER TABLE ONLY public.t ALTER COLUMN b SET (n_distinct=7);',
			]);
		});
	});

	test('an overview of the database and the server', async () => {
		const overview = await databaseOverview(server.connection());
		assert.ok(overview.size > 1_000_000);
		assert.equal(overview.estimatedRows, 1010);
		assert.deepEqual(overview.schemas, ['log', 'public', 'shop']);
		assert.deepEqual(
			overview.tables.map(({ schema, name, estimatedRows }) => [schema, name, estimatedRows]),
			[
				['log', 'events', 10],
				['shop', 'orders', 1000],
			],
		);
		await withDatabase(server, async (other) => {
			assert.deepEqual(await listDatabases(server.connection()), ['postgres', other]);
			const empty = await databaseOverview(server.connection(other));
			assert.deepEqual([empty.estimatedRows, empty.tables], [0, []]);
		});
	});

	async function withoutKey(text: Promise<string>): Promise<string> {
		return (await text).replace(/restrict \w+/g, '');
	}
});
