import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { LifeboatError } from '../../../../../../lib/errors';
import type { PostgresRestoreOptions } from '../../../../../../lib/databases/postgres/restore/restore';
import { withRoles } from '../../../../../../lib/databases/postgres/restore/rules/role-names';
import { startPostgres, type PostgresServer } from '../../../../../servers/postgres';

import { assertSameText } from '../../helpers';

import { contentOf, createDatabase, pgDump, psql, restore } from '../server-tools';

let server: PostgresServer;
const dumps = new Map<string, Buffer>();

/** Two schemas, keys between them, a partitioned table, a sequence of each kind, a type, and a trigger that rewrites rows. */
const source = `
CREATE SCHEMA shop; CREATE SCHEMA other;
CREATE TYPE shop.state AS ENUM ('new', 'paid');
CREATE TABLE shop.customers (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text UNIQUE);
CREATE TABLE shop.orders (id serial PRIMARY KEY, customer integer REFERENCES shop.customers, state shop.state DEFAULT 'new', note text);
COMMENT ON TABLE shop.orders IS 'what is ordered'; COMMENT ON COLUMN shop.orders.note IS 'a note';
CREATE INDEX orders_state ON shop.orders (state); COMMENT ON INDEX shop.orders_state IS 'by state';
CREATE VIEW shop.paid AS SELECT * FROM shop.orders WHERE state = 'paid';
CREATE FUNCTION shop.mark() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.note := ''fired''; RETURN NEW; END';
CREATE TRIGGER mark BEFORE INSERT ON shop.orders FOR EACH ROW EXECUTE FUNCTION shop.mark();
ALTER TABLE shop.orders DISABLE TRIGGER mark;
CREATE TABLE shop.parts (id integer, at integer, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE shop.parts_1 PARTITION OF shop.parts FOR VALUES FROM (0) TO (10);
CREATE TABLE shop.no_key (a integer);
CREATE TABLE other.things (id integer PRIMARY KEY, "order" integer REFERENCES shop.orders);
INSERT INTO shop.customers (name) SELECT 'c' || n FROM generate_series(1, 20) n;
INSERT INTO shop.orders (customer, state, note) SELECT 1 + n % 20, 'paid', 'n' || n FROM generate_series(1, 100) n;
INSERT INTO shop.parts SELECT n, n % 10 FROM generate_series(1, 30) n;
INSERT INTO shop.no_key VALUES (1), (2);
INSERT INTO other.things SELECT n, n FROM generate_series(1, 5) n;
ALTER TABLE shop.orders ENABLE TRIGGER mark;
`;

before(async () => {
	server = await startPostgres({ version: 15 });
	await createDatabase(server, 'source');
	await psql(server, 'source', source);
	for (const format of ['p', 'c']) dumps.set(format, await pgDump(server, 'source', `-F${format}`));
});
after(() => server.stop());

let count = 0;
const fresh = () => createDatabase(server, `target_${++count}`);
const relations = (database: string) =>
	psql(
		server,
		database,
		`SELECT string_agg(c.oid::regclass::text, ' ' ORDER BY c.oid::regclass::text COLLATE "C") FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
		WHERE nspname !~ '^(pg_|information)'`,
	);

async function fails(
	database: string,
	options: PostgresRestoreOptions,
	expected: { code: string; message?: RegExp },
	dump = dumps.get('c')!,
): Promise<LifeboatError> {
	const before = await contentOf(server, database);
	let caught: unknown;
	await restore(server, database, dump, options).catch((error: unknown) => (caught = error));
	assert.ok(caught instanceof LifeboatError, String(caught));
	assert.equal(caught.code, expected.code, caught.message);
	if (expected.message) assert.match(caught.message, expected.message);
	assert.ok((await contentOf(server, database)) === before, 'it is as it was');
	return caught;
}

for (const format of ['p', 'c']) {
	describe(`parts of a dump, format ${format}`, () => {
		const run = async (database: string, options: PostgresRestoreOptions) =>
			restore(server, database, dumps.get(format)!, options);

		test('a table with all that belongs to it, and nothing else', async () => {
			const database = await fresh();
			await psql(
				server,
				database,
				"CREATE SCHEMA shop; CREATE TYPE shop.state AS ENUM ('new', 'paid'); CREATE TABLE mine (x int)",
			);
			await psql(
				server,
				database,
				'CREATE FUNCTION shop.mark() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NEW; END$$',
			);
			const report = await run(database, {
				parts: { tables: ['shop.orders'] },
				expectedTables: [
					{ schema: 'shop', name: 'orders', rows: 100 },
					{ schema: 'shop', name: 'customers', rows: 20 },
				],
			});
			assert.deepEqual(report.tables, [{ schema: 'shop', name: 'orders', rows: 100 }]);
			assert.match(
				report.warnings.join(),
				/FK CONSTRAINT orders orders_customer_fkey was left out: it needs shop\.customers/,
			);
			assert.equal(
				await relations(database),
				'mine shop.orders shop.orders_id_seq shop.orders_pkey shop.orders_state',
			);
			const facts = `SELECT nextval('shop.orders_id_seq'), count(*), obj_description('shop.orders'::regclass), obj_description('shop.orders_state'::regclass),
				min(note), (SELECT count(*) FROM pg_trigger WHERE tgname = 'mark') FROM shop.orders`;
			assert.equal(await psql(server, database, facts), '101|100|what is ordered|by state|n1|1');
		});

		test('a schema, with the keys that lead elsewhere left out', async () => {
			const database = await fresh();
			const report = await run(database, { parts: { schemas: ['other'] } });
			assert.equal(await relations(database), 'other.things other.things_pkey');
			assert.match(report.warnings.join(), /things_order_fkey/);
			await run(database, { parts: { schemas: ['shop'] } });
			assert.equal(await psql(server, database, 'SELECT count(*) FROM shop.paid'), '100');
		});

		test('a partitioned table brings its partitions', async () => {
			const database = await fresh();
			await run(database, { parts: { tables: ['parts'] } });
			assert.equal(await psql(server, database, 'SELECT count(*) FROM shop.parts'), '30');
		});

		test('into another schema, which is there or not', async () => {
			const database = await fresh();
			await psql(server, database, 'CREATE SCHEMA shop; CREATE TABLE shop.orders (mine int)');
			const untouched = await psql(server, database, "SELECT 'shop.orders'::regclass::oid");
			const report = await run(database, { parts: { schemas: ['shop'] }, intoSchema: 'copy' });
			assert.equal(await psql(server, database, "SELECT 'shop.orders'::regclass::oid"), untouched);
			assert.equal(await psql(server, database, 'SELECT count(*) FROM copy.paid'), '100');
			assert.equal(
				await psql(server, database, 'INSERT INTO copy.customers (name) VALUES (1) RETURNING id'),
				'21',
			);
			assert.deepEqual(
				report.tables.find(({ name }) => name === 'orders'),
				{ schema: 'copy', name: 'orders', rows: 100 },
			);
			assert.match(report.warnings.join(), /bodies name the schema shop/);
			await psql(server, database, 'CREATE SCHEMA present; CREATE TABLE present.other (x int)');
			await run(database, { parts: { tables: ['shop.no_key'] }, intoSchema: 'present' });
			assert.equal(await psql(server, database, 'SELECT count(*) FROM present.no_key'), '2');
			assert.equal(
				await psql(
					server,
					database,
					"SELECT string_agg(nspname, ' ' ORDER BY nspname) FROM pg_namespace WHERE nspname !~ '^(pg_|inf)'",
				),
				'copy present public shop',
			);
		});

		test('rows only, into tables with keys in both directions and triggers', async () => {
			const database = await fresh();
			await run(database, { content: 'schema' });
			assert.equal(await psql(server, database, 'SELECT count(*) FROM shop.orders'), '0');
			const empty = await contentOf(server, database);
			const expectedTables = [{ schema: 'shop', name: 'orders', rows: 100 }];
			const report = await run(database, { content: 'data', expectedTables });
			assert.equal(report.tables.find(({ name }) => name === 'orders')?.rows, 100);
			assertSameText(await contentOf(server, 'source'), await contentOf(server, database));
			await fails(database, { content: 'data' }, { code: 'NOT_EMPTY', message: /"shop"\."customers"/ });
			await run(database, { content: 'data', ifNotEmpty: 'clean' });
			assertSameText(await contentOf(server, 'source'), await contentOf(server, database));
			await psql(server, database, 'TRUNCATE shop.orders CASCADE');
			await run(database, { content: 'data', parts: { tables: ['shop.orders'] }, triggers: 'fire' });
			assert.equal(
				await psql(server, database, "SELECT count(*) FROM shop.orders WHERE note = 'fired'"),
				'100',
			);
			assert.notEqual(empty, await contentOf(server, database));
			const broken = await fresh();
			await run(broken, { content: 'schema' });
			await fails(
				broken,
				{ content: 'data', parts: { tables: ['shop.orders'] } },
				{ code: 'FOREIGN_KEY_BROKEN', message: /orders_customer_fkey.*Key \(customer\)=/ },
				dumps.get(format),
			);
		});

		test('merged: what is there stays, what is missing comes', async () => {
			const database = await fresh();
			await run(database, { parts: { schemas: ['shop'] } });
			await psql(
				server,
				database,
				"ALTER TABLE shop.no_key ADD PRIMARY KEY (a); ALTER TABLE shop.orders DISABLE TRIGGER mark; UPDATE shop.orders SET note = 'mine' WHERE id = 7; ALTER TABLE shop.orders ENABLE TRIGGER mark",
				'DELETE FROM shop.orders WHERE id > 90; DELETE FROM shop.customers WHERE id = 1 AND false; DROP VIEW shop.paid',
				"SELECT setval('shop.orders_id_seq', 5000); ALTER TABLE shop.orders OWNER TO postgres; COMMENT ON TABLE shop.orders IS 'mine'",
			);
			const report = await run(database, {
				ifNotEmpty: 'merge',
				expectedTables: [
					{ schema: 'shop', name: 'orders', rows: 100 },
					{ schema: 'other', name: 'things', rows: 5 },
				],
			});
			assert.deepEqual(report.tables, [
				{ schema: 'shop', name: 'orders', rows: 10 },
				{ schema: 'other', name: 'things', rows: 5 },
			]);
			assert.equal(report.keptRows, 20 + 90 + 30 + 2);
			assert.equal(
				await psql(
					server,
					database,
					"SELECT count(*), min(note) FILTER (WHERE id = 7), nextval('shop.orders_id_seq'), obj_description('shop.orders'::regclass) FROM shop.orders",
				),
				'100|mine|5001|mine',
			);
			assert.equal(await psql(server, database, 'SELECT count(*) FROM shop.paid'), '100');
			assert.equal(
				await psql(server, database, 'SELECT count(*) FROM pg_constraint WHERE contype = $$f$$'),
				'2',
			);
		});
	});
}

for (const [format, ...more] of [['c'], ['p', '--rows-per-insert=7'], ['p', '--on-conflict-do-nothing']]) {
	test(`INSERT statements are merged, or loaded as rows alone, -F${[format, ...more].join(' ')}`, async () => {
		const database = await fresh();
		const dump = await pgDump(server, 'source', `-F${format}`, '--column-inserts', ...more);
		await restore(server, database, dump, { content: 'schema' });
		await psql(server, database, 'ALTER TABLE shop.no_key ADD PRIMARY KEY (a)');
		const { tables } = await restore(server, database, dump, { content: 'data' });
		assert.equal(tables.find(({ name }) => name === 'orders')?.rows, 100);
		const before = await contentOf(server, database);
		await psql(
			server,
			database,
			"ALTER TABLE shop.orders DISABLE TRIGGER mark; UPDATE shop.orders SET note = 'mine (x), (y)' WHERE id = 7; ALTER TABLE shop.orders ENABLE TRIGGER mark",
			'DELETE FROM other.things WHERE id > 3; DELETE FROM shop.orders WHERE id > 90; ALTER TABLE shop.parts ADD COLUMN z int',
			'ALTER TABLE shop.customers ADD COLUMN first text; DELETE FROM shop.parts WHERE id <= 3',
		);
		const report = await restore(server, database, dump, { ifNotEmpty: 'merge' });
		assert.equal(report.tables.find(({ name }) => name === 'orders')?.rows, 10);
		assert.equal(report.keptRows, 20 + 90 + 27 + 2 + 3);
		assert.equal(await psql(server, database, 'SELECT note FROM shop.orders WHERE id = 7'), 'mine (x), (y)');
		await psql(
			server,
			database,
			"ALTER TABLE shop.orders DISABLE TRIGGER mark; UPDATE shop.orders SET note = 'n7' WHERE id = 7; ALTER TABLE shop.orders ENABLE TRIGGER mark",
			'ALTER TABLE shop.parts DROP COLUMN z; ALTER TABLE shop.customers DROP COLUMN first',
		);
		const sorted = (text: string) => text.split('\n').toSorted().join('\n');
		assertSameText(sorted(before), sorted(await contentOf(server, database)));
	});
}

describe('what is refused, with nothing changed', () => {
	test('parts that are there, or are not in the dump, or of a script without comments', async () => {
		const database = await fresh();
		await psql(
			server,
			database,
			'CREATE SCHEMA shop; CREATE TABLE shop.orders (mine int); CREATE VIEW v AS SELECT * FROM shop.orders',
		);
		await fails(database, { parts: { tables: ['shop.orders'] } }, { code: 'NOT_EMPTY' });
		await fails(
			database,
			{ parts: { tables: ['shop.orders'] }, ifNotEmpty: 'clean' },
			{ code: 'CLEAN_REFUSED', message: /view public\.v|view v/ },
		);
		await fails(database, { parts: { tables: ['shop."Orders"'] } }, { code: 'INVALID_OPTION' });
		await fails(database, { parts: { schemas: ['nope'] } }, { code: 'INVALID_OPTION' });
		await fails(
			database,
			{ parts: { schemas: ['shop', 'other'] }, intoSchema: 'x' },
			{ code: 'INVALID_OPTION' },
		);
		await fails(
			database,
			{ parts: { tables: ['t'] } },
			{ code: 'OBJECTS_UNKNOWN' },
			Buffer.from('CREATE TABLE t (x int);'),
		);
		await fails(
			database,
			{ parts: { tables: ['orders'] }, target: { kind: 'swap' } },
			{ code: 'INVALID_OPTION' },
		);
	});

	test('a table replaced alone, where nothing hangs on it', async () => {
		const database = await fresh();
		await psql(
			server,
			database,
			'CREATE SCHEMA shop; CREATE TABLE shop.no_key (mine int); CREATE TABLE keep (x int)',
		);
		await restore(server, database, dumps.get('c')!, {
			parts: { tables: ['shop.no_key'] },
			ifNotEmpty: 'clean',
		});
		assert.equal(await psql(server, database, 'SELECT sum(a) FROM shop.no_key'), '3');
	});

	test('rows that do not fit, tables without a key or missing, rows as INSERT', async () => {
		const database = await fresh();
		await restore(server, database, dumps.get('c')!, { content: 'schema' });
		await fails(database, { ifNotEmpty: 'merge' }, { code: 'NO_PRIMARY_KEY', message: /"shop"\."no_key"/ });
		await psql(
			server,
			database,
			'ALTER TABLE shop.no_key RENAME a TO b; ALTER TABLE shop.no_key ADD must int NOT NULL',
		);
		await fails(
			database,
			{ content: 'data' },
			{ code: 'COLUMNS_DIFFER', message: /no column "a".*"must".*needs a value/ },
		);
		await psql(server, database, 'DROP TABLE shop.no_key');
		await fails(database, { content: 'data' }, { code: 'TABLES_MISSING', message: /shop\.no_key/ });
		const inserts = await pgDump(server, 'source', '--inserts');
		await psql(server, database, 'CREATE TABLE shop.no_key (a int PRIMARY KEY)');
		for (const options of [{ ifNotEmpty: 'merge' }, { content: 'data' }] as const)
			await fails(database, options, { code: 'INSERTS_UNSUPPORTED', message: /another order/ }, inserts);
	});
});

test('an archive brings the types and functions that its parts need, unless they are there', async () => {
	const database = await fresh();
	await restore(server, database, dumps.get('c')!, { parts: { tables: ['shop.customers', 'shop.orders'] } });
	assert.equal(await psql(server, database, "SELECT count(*) FROM shop.orders WHERE state = 'paid'"), '100');
	assert.equal(
		await psql(server, database, "SELECT count(*) FROM pg_constraint WHERE conname = 'orders_customer_fkey'"),
		'1',
	);
	await restore(server, database, dumps.get('c')!, {
		parts: { tables: ['shop.orders'] },
		intoSchema: 'twice',
	});
	assert.equal(await psql(server, database, 'SELECT count(*) FROM twice.orders'), '100');
});

test('a script borrows the types and functions that are there, for a table that goes into another schema', async () => {
	const database = await fresh();
	await restore(server, database, dumps.get('p')!);
	await psql(
		server,
		database,
		'CREATE FUNCTION shop.of(shop.state) RETURNS text LANGUAGE sql AS $$ SELECT $1::text $$',
	);
	const where = `SELECT string_agg(format('%s %s', oid, oid::regtype), ' ' ORDER BY oid) FROM pg_type WHERE typname IN ('state', '_state')
		UNION ALL SELECT string_agg(format('%s %s', oid, oid::regprocedure), ' ' ORDER BY oid) FROM pg_proc WHERE proname IN ('mark', 'of')`;
	const before = await psql(server, database, where);
	const options = { parts: { tables: ['shop.orders'] }, intoSchema: 'yesterday' };
	await restore(server, database, dumps.get('p')!, options);
	assert.equal(await psql(server, database, where), before);
	assert.equal(
		await psql(server, database, "SELECT count(*) FROM yesterday.orders WHERE state = 'paid'"),
		'100',
	);
	const rows = 'SELECT md5(string_agg(o::text, chr(10) ORDER BY id)) FROM';
	assert.equal(
		await psql(server, database, `${rows} yesterday.orders o`),
		await psql(server, database, `${rows} shop.orders o`),
	);
	const fired = 'INSERT INTO yesterday.orders (customer) VALUES (1) RETURNING note';
	assert.equal(await psql(server, database, fired), 'fired');
	// Nothing is lent where the schema is restored as a whole, nor taken where the restore fails.
	await psql(server, database, 'DROP SCHEMA yesterday CASCADE');
	await restore(server, database, dumps.get('p')!, { parts: { schemas: ['shop'] }, intoSchema: 'yesterday' });
	assert.equal(await psql(server, database, "SELECT count(*) FROM pg_type WHERE typname = 'state'"), '2');
	await fails(database, options, { code: 'NOT_EMPTY' }, dumps.get('p'));
	assert.equal((await psql(server, database, where)).includes('lifeboat_'), false);
});

test('roles take the place of others wherever they are named', async () => {
	const swap = (sql: string) =>
		withRoles(Buffer.from(sql), sql.toUpperCase().split(/\W+/).slice(0, 6), {
			bob: 'al"ice',
			'Ö x': 'clerk',
		}).toString();
	assert.equal(swap('ALTER TABLE public.bob OWNER TO bob'), 'ALTER TABLE public.bob OWNER TO "al""ice"');
	assert.equal(
		swap('GRANT SELECT ON TABLE bob TO bob WITH GRANT OPTION'),
		'GRANT SELECT ON TABLE bob TO "al""ice" WITH GRANT OPTION',
	);
	assert.equal(
		swap('REVOKE ALL ON FUNCTION f(bob) FROM "Ö x", bob'),
		'REVOKE ALL ON FUNCTION f(bob) FROM "clerk", "al""ice"',
	);
	assert.equal(
		swap('ALTER DEFAULT PRIVILEGES FOR ROLE bob IN SCHEMA bob GRANT ALL ON TABLES TO "Ö x"'),
		'ALTER DEFAULT PRIVILEGES FOR ROLE "al""ice" IN SCHEMA bob GRANT ALL ON TABLES TO "clerk"',
	);
	assert.equal(swap("SET SESSION AUTHORIZATION 'bob'"), 'SET SESSION AUTHORIZATION "al""ice"');
	assert.equal(
		swap('CREATE POLICY bob ON bob TO bob, other USING (bob = 1)'),
		'CREATE POLICY bob ON bob TO "al""ice", other USING (bob = 1)',
	);
	assert.equal(swap("COMMENT ON TABLE x IS 'OWNER TO bob'"), "COMMENT ON TABLE x IS 'OWNER TO bob'");
	const database = await fresh();
	await psql(server, 'postgres', 'CREATE ROLE clerk');
	const script =
		'CREATE TABLE public.t (x int);\nALTER TABLE public.t OWNER TO nobody;\nGRANT SELECT ON TABLE public.t TO nobody;';
	await restore(server, database, script, { roles: { nobody: 'clerk' } });
	assert.equal(
		await psql(server, database, "SELECT tableowner FROM pg_tables WHERE tablename = 't'"),
		'clerk',
	);
});
