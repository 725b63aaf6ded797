import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Readable } from 'node:stream';

import { planRestore, type RestorePlan } from '../../../../../lib/databases/postgres/restore/dry-run';
import type { PostgresRestoreOptions } from '../../../../../lib/databases/postgres/restore/restore';
import { startPostgres, type PostgresServer } from '../../../../servers/postgres';

import { contentOf, createDatabase, pgDump, psql, restore } from './server-tools';

let server: PostgresServer;
const dumps = new Map<string, Buffer>();

before(async () => {
	server = await startPostgres({ version: 15 });
	await createDatabase(server, 'source');
	await psql(
		server,
		'source',
		'CREATE SCHEMA shop; CREATE TABLE shop.orders (id serial PRIMARY KEY, note text); CREATE TABLE shop.items (id int PRIMARY KEY)',
		"INSERT INTO shop.orders (note) SELECT 'n' FROM generate_series(1, 12); INSERT INTO shop.items VALUES (1); CREATE VIEW shop.v AS SELECT 1 AS a",
	);
	await createDatabase(server, 'target');
	await psql(
		server,
		'target',
		'CREATE SCHEMA shop; CREATE TABLE shop.orders AS SELECT generate_series(1, 3) AS id; CREATE TABLE mine (x int)',
	);
	for (const format of ['p', 'c']) dumps.set(format, await pgDump(server, 'source', `-F${format}`));
});
after(() => server.stop());

const plan = async (format: string, options: PostgresRestoreOptions, database = 'target') =>
	planRestore(server.connection(database), async () => Readable.from([dumps.get(format)!]), options);

/** One line an action: `create table shop.items 1 rows`. */
const lines = ({ actions }: RestorePlan) =>
	actions.map(({ action, kind, schema, name, rows, presentRows }) =>
		[
			action,
			kind,
			schema ? `${schema}.${name}` : name,
			rows,
			presentRows === undefined ? undefined : `(${presentRows})`,
		]
			.filter((part) => part !== undefined)
			.join(' '),
	);

const expectedTables = [
	{ schema: 'shop', name: 'orders', rows: 12 },
	{ schema: 'shop', name: 'items', rows: 1 },
];

for (const format of ['p', 'c']) {
	describe(`a dry run, format ${format}`, () => {
		test('tells what would happen to each object, and touches nothing', async () => {
			const before = await contentOf(server, 'target');
			const statistics = () =>
				psql(
					server,
					'target',
					"SELECT string_agg(oid || ':' || relfilenode, ',' ORDER BY oid) FROM pg_class",
				);
			const files = await statistics();
			const clean = await plan(format, { ifNotEmpty: 'clean', expectedTables });
			assert.deepEqual(clean.problems, []);
			assert.deepEqual(lines(clean).sort(), [
				...[
					'create schema shop',
					'create sequence shop.orders_id_seq',
					'create table shop.items 1',
					'create view shop.v',
				],
				...['drop schema shop', 'drop table public.mine (0)', 'overwrite table shop.orders 12 (3)'],
			]);
			const stop = await plan(format, { expectedTables });
			assert.match(
				stop.problems.join('; '),
				/table "shop"\."orders" is there already, with 3 rows; The database is not empty/,
			);
			const merged = await plan(format, {
				ifNotEmpty: 'merge',
				expectedTables,
				parts: { tables: ['shop.orders'] },
			});
			assert.deepEqual(lines(merged).slice(0, 1), ['add rows table shop.orders 12 (3)']);
			const moved = await plan(format, {
				parts: { tables: ['shop.orders'] },
				intoSchema: 'copy',
				expectedTables,
			});
			assert.deepEqual(moved.problems, []);
			assert.ok(lines(moved).includes('create table copy.orders 12'));
			const swapped = await plan(format, { target: { kind: 'swap' }, expectedTables });
			assert.equal(lines(swapped)[0], 'rename database target');
			const none = await plan(format, { target: { kind: 'new' } }, 'not_there');
			assert.equal(lines(none)[0], 'create database not_there');
			assert.deepEqual((await plan(format, { parts: { tables: ['nope'] } })).problems, [
				'The backup holds no table nope',
			]);
			assert.ok((await contentOf(server, 'target')) === before, 'nothing is changed');
			assert.equal(await statistics(), files);
			assert.equal(
				await psql(server, 'postgres', "SELECT count(*) FROM pg_database WHERE datname = 'not_there'"),
				'0',
			);
		});

		test('sequences are compared with the manifest', async () => {
			const dump = dumps.get(format)!;
			const sequence = { schema: 'shop', name: 'orders_id_seq', lastValue: '12', isCalled: true };
			const target = { kind: 'new' } as const;
			const report = await restore(server, `seq_${format}`, dump, { target, expectedSequences: [sequence] });
			assert.equal(report.sequences, 1);
			assert.equal(report.bytes, dump.length);
			for (const wrong of [{ lastValue: '13' }, { isCalled: false }, { name: 'lost' }]) {
				await assert.rejects(
					restore(server, 'wrong', dump, { target, expectedSequences: [{ ...sequence, ...wrong }] }),
					{ code: 'SEQUENCE_MISMATCH' },
				);
			}
		});
	});
}
