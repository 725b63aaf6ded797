import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';

import { LifeboatError } from '../../../../../../lib/errors';
import type { PostgresRestoreOptions } from '../../../../../../lib/databases/postgres/restore/restore';
import { startPostgres, type PostgresServer } from '../../../../../servers/postgres';

import { assertSameText, dumpToFile, withFolder } from '../../helpers';
import { contentOf, createDatabase, pgDump, psql, restore } from '../server-tools';

/** Objects that are joined to others across schemas: partitions, publications; and what a schema holds besides tables. */
const source = `
CREATE SCHEMA a; CREATE SCHEMA b;
CREATE ACCESS METHOD heap2 TYPE TABLE HANDLER heap_tableam_handler;
CREATE TYPE a.state AS ENUM ('new', 'paid');
CREATE DOMAIN a.name AS text CHECK (VALUE <> '');
CREATE FUNCTION a."Say it"(a.state, integer[], OUT said text) LANGUAGE sql AS 'SELECT $1::text';
CREATE AGGREGATE a.total(integer) (SFUNC = int4pl, STYPE = integer);
CREATE AGGREGATE a.rows(*) (SFUNC = int8inc, STYPE = bigint, INITCOND = '0');
CREATE PROCEDURE a.nothing(IN x integer, IN y integer) LANGUAGE sql AS 'SELECT 1';
CREATE PROCEDURE a.nothing(IN x integer, OUT y integer) LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION a.stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.note := ''fired''; RETURN NEW; END';
CREATE TABLE a.placed (id integer PRIMARY KEY) USING heap2;
CREATE TABLE a.plain (id integer PRIMARY KEY, state a.state, said text DEFAULT a."Say it"('new', '{}'));
CREATE VIEW a.shown AS SELECT id, a."Say it"(state, '{1}') AS said FROM a.plain;
CREATE VIEW a.grouped AS SELECT id, state, count(*) AS n FROM a.plain GROUP BY id;
CREATE FUNCTION a.grouping() RETURNS SETOF a.grouped LANGUAGE sql AS 'SELECT * FROM a.grouped';
CREATE TABLE a.log (id integer, at integer, note text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE INDEX log_note ON a.log (note);
CREATE TABLE b.log_1 PARTITION OF a.log FOR VALUES FROM (0) TO (10);
CREATE TABLE b.log_2 PARTITION OF a.log FOR VALUES FROM (10) TO (20);
INSERT INTO a.log (id, at) SELECT n, n FROM generate_series(1, 19) n;
INSERT INTO a.plain (id, state) SELECT n, 'paid' FROM generate_series(1, 5) n;
INSERT INTO a.placed VALUES (1);
CREATE TRIGGER stamp BEFORE INSERT ON a.log FOR EACH ROW EXECUTE FUNCTION a.stamp();
ALTER TABLE b.log_2 DISABLE TRIGGER stamp;
CREATE TABLE a.allowed (id integer PRIMARY KEY);
CREATE FUNCTION a.log_plain(a.plain) RETURNS integer LANGUAGE sql AS 'SELECT ($1).id';
CREATE POLICY few ON a.plain USING (id IN (SELECT id FROM a.allowed)); ALTER TABLE a.plain ENABLE ROW LEVEL SECURITY;
CREATE RULE also AS ON DELETE TO a.allowed DO ALSO DELETE FROM a.plain WHERE id = OLD.id;
CREATE TRIGGER changed AFTER UPDATE ON a.plain FOR EACH ROW WHEN (a.log_plain(NEW) > 3) EXECUTE FUNCTION a.stamp();
CREATE PUBLICATION chosen FOR TABLE a.plain, TABLES IN SCHEMA b;
CREATE PUBLICATION every FOR ALL TABLES;
`;

let server: PostgresServer;
let expected: string;
const dumps = new Map<string, Buffer>();
let count = 0;

before(async () => {
	server = await startPostgres({ version: 15, settings: { wal_level: 'logical' } });
	await createDatabase(server, 'source');
	await psql(server, 'source', source);
	expected = await contentOf(server, 'source');
	for (const format of ['p', 'c']) dumps.set(format, await pgDump(server, 'source', `-F${format}`));
});
after(() => server.stop());

for (const format of ['p', 'c']) {
	describe(`what is joined to other objects, format ${format}`, () => {
		const run = async (database: string, options: PostgresRestoreOptions = {}) =>
			restore(server, database, dumps.get(format)!, options);
		const fresh = () => createDatabase(server, `joined_${++count}`);
		const copy = async () => {
			const database = await fresh();
			await run(database);
			return database;
		};
		const isAsSource = async (database: string) =>
			assertSameText(expected, await contentOf(server, database));

		test('a partition that is replaced belongs to its table again, and no trigger fires for its rows', async () => {
			const database = await copy();
			await psql(server, database, "UPDATE a.log SET note = 'changed'");
			await run(database, { parts: { tables: ['b.log_1', 'b.log_2'] }, ifNotEmpty: 'clean' });
			await isAsSource(database);
		});

		test('a partition that is merged belongs to its table again', async () => {
			const database = await copy();
			await psql(server, database, 'DROP TABLE b.log_2');
			await run(database, { ifNotEmpty: 'merge' });
			await isAsSource(database);
		});

		test('a partition without its table is a table', async () => {
			const database = await fresh();
			const { warnings } = await run(database, { parts: { schemas: ['b'] } });
			assert.match(warnings.join('\n'), /TABLE ATTACH log_2 was left out: it needs a\.log,/);
			assert.match(warnings.join('\n'), /needs the publication chosen,/);
			assert.equal(await psql(server, database, 'SELECT count(*) FROM b.log_2'), '10');
		});

		test('a partition that the dump does not hold is not dropped with its table', async () => {
			const database = await copy();
			await psql(server, database, 'CREATE TABLE a.late PARTITION OF a.log DEFAULT');
			const before = await contentOf(server, database);
			await assert.rejects(
				run(database, { parts: { tables: ['a.log'] }, ifNotEmpty: 'clean' }),
				(error: unknown) =>
					error instanceof LifeboatError && error.code === 'CLEAN_REFUSED' && /a\.late/.test(error.message),
			);
			assertSameText(before, await contentOf(server, database));
		});

		test('schemas are replaced with their functions and types, and stay in their publications', async () => {
			const database = await copy();
			await psql(server, database, "ALTER TYPE a.state ADD VALUE 'lost'; DELETE FROM a.plain");
			await run(database, { parts: { schemas: ['a', 'b'] }, ifNotEmpty: 'clean' });
			await isAsSource(database);
		});

		test('access methods of objects that are left out are not asked for', async () => {
			const database = await fresh();
			const parts = { tables: ['b.log_1'] };
			await run(database, { parts });
			assert.equal(await psql(server, database, 'SELECT count(*) FROM pg_am WHERE amname = $$heap2$$'), '0');
		});
	});
}

test('an archive brings the schema of what a part needs, with its comments and privileges', async () => {
	await createDatabase(server, 'needy');
	await psql(
		server,
		'needy',
		`CREATE SCHEMA kinds; COMMENT ON SCHEMA kinds IS 'types'; CREATE TYPE kinds.colour AS ENUM ('red');
		COMMENT ON TYPE kinds.colour IS 'of things'; REVOKE ALL ON TYPE kinds.colour FROM PUBLIC;
		CREATE TABLE things (c kinds.colour); INSERT INTO things VALUES ('red')`,
	);
	const database = await createDatabase(server, 'needs');
	await restore(server, database, await pgDump(server, 'needy', '-Fc'), { parts: { tables: ['things'] } });
	assertSameText(await contentOf(server, 'needy'), await contentOf(server, database));
});

for (const format of ['plain', 'custom'] as const) {
	test(`definitions first, rows and large objects later, format ${format}`, async () => {
		const database = await createDatabase(server, `whole_${format}`);
		const target = await createDatabase(server, `halves_${format}`);
		const wide = Array.from({ length: 1500 }, (_, n) => `column_number_${n} integer`).join(', ');
		await psql(
			server,
			database,
			`CREATE TABLE nothing (); INSERT INTO nothing DEFAULT VALUES; INSERT INTO nothing DEFAULT VALUES;
			CREATE TABLE wide (${wide}, computed integer GENERATED ALWAYS AS (1) STORED); INSERT INTO wide DEFAULT VALUES;
			SELECT lo_from_bytea(4711, 'abc'); COMMENT ON LARGE OBJECT 4711 IS 'a large object';
			GRANT SELECT ON LARGE OBJECT 4711 TO PUBLIC`,
		);
		await withFolder(async (folder) => {
			const file = `${folder}/dump`;
			await dumpToFile(server.connection(database), file, { format });
			const dump = await readFile(file);
			await restore(server, target, dump, { content: 'schema' });
			assert.equal(await psql(server, target, 'SELECT count(*) FROM pg_largeobject_metadata'), '0');
			await restore(server, target, dump, { content: 'data' });
		});
		assertSameText(await contentOf(server, database), await contentOf(server, target));
	});
}
