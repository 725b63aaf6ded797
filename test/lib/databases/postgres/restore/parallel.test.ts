import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { after, before, describe, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';

import { archiveScript } from '../../../../../lib/databases/postgres/restore/archive/script';
import { buildStatement } from '../../../../../lib/databases/postgres/restore/builds/build-statement';
import { restorePostgres } from '../../../../../lib/databases/postgres/restore/restore';
import { readArchive } from '../../../../../lib/databases/postgres/archive/reader';
import { startPostgres, type PostgresServer } from '../../../../servers/postgres';

import {
	contentOf,
	createDatabase,
	createRoles,
	pgDump,
	psql,
	psqlFile,
	restore,
	tortureSql,
} from './server-tools';

const target = { kind: 'new' } as const;
const parallel = { target, parallelConnections: 3 };

let server: PostgresServer;
let expected: string;
const dumps = new Map<string, Buffer>();

/** Partitions and keys that refer to each other, views that need a key, an index on a function, and rows in all of them. */
const shop = `
CREATE TABLE public.customers (id integer PRIMARY KEY, name text NOT NULL, boss integer REFERENCES public.customers);
CREATE TABLE public.orders (id bigint GENERATED ALWAYS AS IDENTITY, at date NOT NULL, customer integer REFERENCES public.customers,
	PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE public.orders_1 PARTITION OF public.orders FOR VALUES FROM ('2026-01-01') TO ('2026-07-01');
CREATE TABLE public.orders_2 PARTITION OF public.orders FOR VALUES FROM ('2026-07-01') TO ('2027-01-01');
CREATE INDEX orders_customer ON public.orders (customer);
ALTER TABLE public.customers ADD CONSTRAINT short CHECK (length(name) < 100) NOT VALID;
COMMENT ON INDEX public.orders_customer IS 'by customer';
COMMENT ON CONSTRAINT customers_pkey ON public.customers IS 'the key';
ALTER TABLE public.customers CLUSTER ON customers_pkey;
CREATE VIEW public.by_customer AS SELECT c.id, c.name, count(*) FROM public.customers c JOIN public.orders o ON o.customer = c.id GROUP BY c.id;
CREATE MATERIALIZED VIEW public.totals AS SELECT * FROM public.by_customer;
CREATE UNIQUE INDEX ON public.totals (id);
CREATE FUNCTION public.shout(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT upper($1)';
CREATE INDEX ON public.customers (public.shout(name));
CREATE TABLE public."Odd; name" (k uuid DEFAULT gen_random_uuid(), CONSTRAINT "odd, key" UNIQUE (k));
CREATE TABLE public.nothing ();
INSERT INTO public.customers SELECT n, 'Name ' || n, nullif(n - 1, 0) FROM generate_series(1, 3000) n;
INSERT INTO public.orders (at, customer) SELECT date '2026-01-01' + n % 300, 1 + n % 3000 FROM generate_series(1, 20000) n;
INSERT INTO public."Odd; name" SELECT FROM generate_series(1, 500);
INSERT INTO public.nothing SELECT FROM generate_series(1, 7);
REFRESH MATERIALIZED VIEW public.totals;
SELECT lo_from_bytea(4711, 'a large object');
`;

before(async () => {
	server = await startPostgres({ version: 15 });
	await createRoles(server);
	await createDatabase(server, 'shop');
	await psql(server, 'shop', shop);
	await createDatabase(server, 'torture');
	await psqlFile(server, 'torture', tortureSql);
	expected = await contentOf(server, 'shop');
	for (const format of ['p', 'c']) dumps.set(format, await pgDump(server, 'shop', `-F${format}`));
});
after(() => server.stop());

describe('over several connections', () => {
	for (const format of ['p', 'c']) {
		test(`everything is there, format ${format}`, async () => {
			const database = `copy_${format}`;
			const steps = new Set<string>();
			const report = await restore(server, database, dumps.get(format)!, parallel, {
				onProgress: ({ step }) => steps.add(step),
			});
			assert.equal(await contentOf(server, database), expected);
			assert.ok(steps.has('building indexes and constraints'));
			assert.equal(report.tables.find(({ name }) => name === 'customers')?.rows, 3000);
			assert.equal(report.tables.find(({ name }) => name === 'nothing')?.rows, 7);
			// Rows that need no further mark: building an index has not had to write their pages again.
			await psql(server, database, 'CREATE EXTENSION pg_visibility');
			const frozen = "SELECT all_frozen > 0 FROM pg_visibility_map_summary('customers')";
			assert.equal(await psql(server, database, frozen), 't');
			const open = await psql(
				server,
				'postgres',
				"SELECT count(*) FROM pg_stat_activity WHERE application_name = 'lifeboat restore'",
			);
			assert.equal(open, '0', 'no connection stays');
		});

		test(`an object of every kind, format ${format}`, async () => {
			const database = `torture_${format}`;
			await restore(server, database, await pgDump(server, 'torture', `-F${format}`), parallel);
			assert.equal(await contentOf(server, database), await contentOf(server, 'torture'));
		});
	}

	test('several connections have really worked at the same time', async () => {
		await createDatabase(server, 'slow');
		// Building each of these indexes takes as long as the function sleeps, unless two are built at a time.
		await psql(
			server,
			'slow',
			`CREATE FUNCTION slow(i int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM pg_sleep(0.5); RETURN i; END';
			CREATE TABLE a AS SELECT 1 AS i; CREATE TABLE b AS SELECT 1 AS i; CREATE TABLE c AS SELECT 1 AS i;
			CREATE INDEX ON a (slow(i)); CREATE INDEX ON b (slow(i)); CREATE INDEX ON c (slow(i));`,
		);
		const dump = await pgDump(server, 'slow', '-Fp');
		const start = performance.now();
		await restore(server, 'slow_copy', dump, parallel);
		const together = performance.now() - start;
		await restore(server, 'slow_copy_2', dump, { target });
		const oneByOne = performance.now() - start - together;
		assert.ok(oneByOne - together > 500, `${Math.round(together)} ms against ${Math.round(oneByOne)} ms`);
	});

	test('keys and indexes are built while rows of other tables are still to come', async () => {
		await createDatabase(server, 'two');
		await psql(
			server,
			'two',
			`CREATE FUNCTION public.twice(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 2 * $1';
			CREATE TABLE a (i int PRIMARY KEY, t text); CREATE INDEX a_t ON a (t); CREATE INDEX a_twice ON a (public.twice(i));
			CREATE TABLE b (i int PRIMARY KEY, t text);
			INSERT INTO a SELECT n, md5(n::text) FROM generate_series(1, 1000) n; INSERT INTO b SELECT * FROM a`,
		);
		const dump = await pgDump(server, 'two', '-Fc', '-Z0');
		const built = async () => {
			const names =
				"SELECT string_agg(indexname, ',' ORDER BY indexname) FROM pg_indexes WHERE schemaname = 'public'";
			return psql(server, 'two_copy', names);
		};
		// The end of the rows of b is held back until all that may be built of a is there; the test times out if that never comes.
		let early = '';
		const open = async () => {
			const held = async function* () {
				yield dump.subarray(0, -1000);
				while (early !== 'a_pkey,a_t') {
					await setTimeout(20);
					early = await built();
				}
				yield dump.subarray(-1000);
			};
			return Readable.from(held());
		};
		const options = { target, parallelConnections: 2 };
		await restorePostgres(server.connection('two_copy'), open, options);
		assert.equal(await contentOf(server, 'two_copy'), await contentOf(server, 'two'));
		assert.equal(await built(), 'a_pkey,a_t,a_twice,b_pkey');
	});

	test('a key that can not be built while rows are being loaded is told, and nothing stays', async () => {
		await createDatabase(server, 'twins');
		await psql(
			server,
			'twins',
			`CREATE TABLE a (i int PRIMARY KEY); CREATE TABLE b (t text); INSERT INTO a VALUES (11111);
			INSERT INTO b SELECT md5(n::text) FROM generate_series(1, 100000) n`,
		);
		const dump = await pgDump(server, 'twins', '-Fc', '-Z0');
		const row = dump.indexOf('11111\n');
		assert.notEqual(row, -1);
		// Now the archive has one key twice.
		dump.write('11\n11\n', row);
		await assert.rejects(restore(server, 'twins_copy', dump, { target, parallelConnections: 2 }), {
			code: 'STATEMENT_FAILED',
			message: /could not create unique index "a_pkey"/,
		});
		const names = "SELECT count(*) FROM pg_database WHERE datname = 'twins_copy'";
		assert.equal(await psql(server, 'postgres', names), '0');
	});

	test('the first that fails is told, and nothing stays', async () => {
		const names = () => psql(server, 'postgres', "SELECT count(*) FROM pg_database WHERE datname = 'broken'");
		const script = (tail: string) => `CREATE TABLE public.a (i int);\nCREATE TABLE public.b (i int);
COPY public.a FROM stdin;\n1\n1\n\\.\nCOPY public.b FROM stdin;\n1\n\\.\n${tail}`;
		await assert.rejects(
			restore(
				server,
				'broken',
				script(
					'CREATE INDEX b_i ON public.b (i);\nALTER TABLE ONLY public.a ADD CONSTRAINT a_key PRIMARY KEY (i);\n',
				),
				parallel,
			),
			{
				code: 'STATEMENT_FAILED',
				message: /ALTER TABLE public\.a on line 11 .*could not create unique index "a_key"/,
			},
		);
		assert.equal(await names(), '0');
		const rows = Buffer.from(dumps.get('c')!);
		const short = rows.subarray(0, rows.length - 200);
		await assert.rejects(restore(server, 'broken', short, parallel), { code: 'ARCHIVE_DAMAGED' });
		assert.equal(await names(), '0');
		await assert.rejects(
			restore(server, 'broken', dumps.get('p')!, {
				...parallel,
				expectedTables: [{ schema: 'public', name: 'customers', rows: 3001 }],
			}),
			{ code: 'ROW_COUNT_MISMATCH' },
		);
		assert.equal(await names(), '0');
	});

	test('into an existing database it stays one transaction', async () => {
		await createDatabase(server, 'existing');
		await assert.rejects(
			restore(server, 'existing', Buffer.concat([dumps.get('p')!, Buffer.from('\nSELECT 1/0;')]), {
				parallelConnections: 3,
			}),
			{ code: 'STATEMENT_FAILED' },
		);
		assert.equal(await contentOf(server, 'existing'), await contentOf(server, 'template1'));
	});
});

test('what builds is told from what is quick', () => {
	const of = (sql: string) => {
		const head = sql
			.split(/[^A-Za-z]+/)
			.slice(0, 6)
			.map((word) => word.toUpperCase());
		const build = buildStatement({ sql: Buffer.from(sql), head });
		return (
			build && [build.kind, ...build.locks.map(({ table, exclusive }) => `${table}${exclusive ? '!' : ''}`)]
		);
	};
	assert.deepEqual(of('CREATE UNIQUE INDEX "ON" ON ONLY s."T x" USING btree (a)'), ['index', '["s","T x"]']);
	assert.deepEqual(of('ALTER TABLE ONLY s.t\n    ADD CONSTRAINT k PRIMARY KEY (a, b)'), [
		'index',
		'["s","t"]!',
	]);
	assert.deepEqual(of('ALTER TABLE s.t ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES s.u(b) NOT VALID'), [
		...['foreign-key', '["s","t"]!', '["s","u"]!'],
	]);
	assert.equal(of('ALTER TABLE s.t ADD CONSTRAINT k UNIQUE (a), DROP COLUMN b'), undefined);
	assert.equal(of('CREATE INDEX CONCURRENTLY i ON s.t (a)'), undefined);
	assert.equal(of('ALTER TABLE ONLY s.t ALTER COLUMN a SET DEFAULT 1'), undefined);
});

test('the script of an archive, rows included, loads with psql', async () => {
	const reader = await readArchive(Readable.from([dumps.get('c')!]));
	const parts: Buffer[] = [];
	for await (const part of archiveScript(reader)) parts.push(part);
	await createDatabase(server, 'by_psql');
	await restore(server, 'by_psql', Buffer.concat(parts));
	assert.equal(await contentOf(server, 'by_psql'), expected);
});
