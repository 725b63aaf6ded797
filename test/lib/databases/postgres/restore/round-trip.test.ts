import assert from 'node:assert/strict';
import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import type { DatabaseObject } from '../../../../../lib/databases/postgres/restore/target/inspect';
import { inspectDatabase, restorePostgres } from '../../../../../lib/databases/postgres/restore/restore';
import { startPostgres, type PostgresMajor, type PostgresServer } from '../../../../servers/postgres';

import { compareDatabases, dumpToFile, withFolder } from '../helpers';

import {
	contentOf,
	createDatabase,
	createRoles,
	pgDump,
	psql,
	psqlFile,
	restore,
	torture14Sql,
	tortureSql,
} from './server-tools';

// Otherwise the server warns of each publication.
const settings = { wal_level: 'logical' };

/** Ways to write a dump, and what the restore has to be told of it. */
const ways: Record<string, { args: string[]; options?: { metaCommands: 'skip-connect' } }> = {
	'as it is': { args: [] },
	'with --clean': { args: ['--clean'] },
	'with --clean --if-exists': { args: ['--clean', '--if-exists'] },
	'with --inserts': { args: ['--inserts'] },
	'with --column-inserts --rows-per-insert=7': { args: ['--column-inserts', '--rows-per-insert=7'] },
	'with --create --clean': { args: ['--create', '--clean'], options: { metaCommands: 'skip-connect' } },
	'in the encoding GB18030': { args: ['--encoding=GB18030'] },
	'with --quote-all-identifiers': { args: ['--quote-all-identifiers'] },
	// From version 15 on the owners that are switched to may not create in the schema public.
	'with --use-set-session-authorization': { args: ['--use-set-session-authorization'] },
};

/** What differs between servers is hardly how the dump is written: a few ways do for the oldest. */
const waysOf13 = [
	'as it is',
	'with --clean',
	'with --create --clean',
	'with --use-set-session-authorization',
];

for (const version of [13, 15] satisfies PostgresMajor[]) {
	describe(`a dump of every kind of object, PostgreSQL ${version}`, () => {
		let server: PostgresServer;
		let expected: string;
		let tables: { schema: string; name: string; rows: number }[];

		before(async () => {
			server = await startPostgres({ version, settings });
			await createRoles(server);
			await createDatabase(server, 'source');
			await psqlFile(server, 'source', tortureSql);
			if (version > 13) await psqlFile(server, 'source', torture14Sql);
			expected = await contentOf(server, 'source');
			tables = [
				{ schema: 'public', name: 'orders', rows: 500 },
				{ schema: 'Büro; "x"', name: 'Täble; x', rows: 3 },
				{ schema: 'public', name: 'events', rows: 0 },
				{ schema: 'public', name: 'events_2025', rows: 61 },
				{ schema: 'public', name: 'events_rest', rows: 39 },
				{ schema: 'public', name: 'base', rows: 1 },
				{ schema: 'public', name: 'child', rows: 2 },
			];
		});
		after(() => server.stop());

		for (const [name, { args, options }] of Object.entries(ways)) {
			if (version === 13 ? !waysOf13.includes(name) : name.includes('session')) continue;
			test(`written ${name} comes back as it was`, async () => {
				const database = await createDatabase(server, `to ${name}`.slice(0, 60));
				const dump = await pgDump(server, 'source', ...args);
				const report = await restore(server, database, dump, { ...options, expectedTables: tables });
				assert.equal(await contentOf(server, database), expected);
				assert.deepEqual(report.tables, tables);
				assert.ok(report.statements > 150);
				assert.deepEqual(report.warnings.filter(isUnexpected), []);
			});
		}

		test('replaces everything in a database that is cleaned first', async () => {
			// The other way round too: what the dump doesn't hold has to go.
			const database = await createDatabase(server, 'full');
			await psqlFile(server, database, tortureSql);
			if (version > 13) {
				await psqlFile(server, database, torture14Sql);
				await psql(server, database, 'DROP SUBSCRIPTION sub');
			}
			await createDatabase(server, 'small');
			await psql(server, 'small', 'CREATE TABLE one (x int)', 'INSERT INTO one VALUES (1)');
			const small = await contentOf(server, 'small');
			await restore(server, database, await pgDump(server, 'small'), { ifNotEmpty: 'clean' });
			assert.equal(await contentOf(server, database), small);
			const { objects } = await inspectDatabase(server.connection(database));
			assert.deepEqual(
				objects.map(({ kind, name }) => `${kind} ${name}`),
				['table public.one'],
			);
			await restore(server, database, await pgDump(server, 'source'), { ifNotEmpty: 'clean' });
			assert.equal(await contentOf(server, database), expected);
		});
	});
}

for (const version of [17, 18] satisfies PostgresMajor[]) {
	test(`a dump of the engine's own comes back as it was, PostgreSQL ${version}`, async () => {
		const server = await startPostgres({ version, settings });
		try {
			await createRoles(server);
			await createDatabase(server, 'source');
			await psqlFile(server, 'source', tortureSql);
			await psqlFile(server, 'source', torture14Sql);
			await createDatabase(server, 'copy');
			await withFolder(async (folder) => {
				const file = join(folder, 'dump.sql');
				const expectedTables = await dumpToFile(server.connection('source'), file);
				const report = await restorePostgres(
					server.connection('copy'),
					async (signal) => createReadStream(file, { signal }),
					{ expectedTables },
				);
				assert.deepEqual(report.tables, expectedTables);
			});
			await compareDatabases(server, 'source', server, 'copy');
		} finally {
			await server.stop();
		}
	});
}

describe('a dump of PostgreSQL 15 restored into newer servers', () => {
	let from: PostgresServer;
	let dump: Buffer;
	before(async () => {
		from = await startPostgres({ version: 15, settings });
		await createRoles(from);
		await createDatabase(from, 'shop');
		await psqlFile(from, 'shop', tortureSql);
		await psqlFile(from, 'shop', torture14Sql);
		dump = await pgDump(from, 'shop');
	});
	after(() => from.stop());

	for (const version of [16, 17, 18] satisfies PostgresMajor[]) {
		test(`version ${version} holds the same objects and rows`, async () => {
			const to = await startPostgres({ version, settings });
			try {
				await createRoles(to);
				await createDatabase(to, 'shop');
				const { warnings } = await restore(to, 'shop', dump);
				assert.deepEqual(warnings.filter(isUnexpected), []);
				const [before, after] = await Promise.all([
					inspectDatabase(from.connection('shop')),
					inspectDatabase(to.connection('shop')),
				]);
				assert.ok(before.objects.length > 50);
				assert.deepEqual(after.objects, before.objects.map(asNamedSince16));
				const checks = [
					'SELECT md5(string_agg(o::text, chr(10) ORDER BY id)) FROM public.orders o',
					'SELECT md5(string_agg(t::text, chr(10) ORDER BY t::text)) FROM "Büro; ""x"""."Täble; x" t',
					'SELECT last_value, is_called FROM public.numbers',
					"SELECT md5(lo_get(4711)), length(lo_get(4712)), pg_get_functiondef('public.body'::regproc)",
				];
				for (const sql of checks) assert.equal(await psql(to, 'shop', sql), await psql(from, 'shop', sql));
			} finally {
				await to.stop();
			}
		});
	}
});

/** A subscription comes back without its tables, and the server says so; the database's own settings are left out. */
function isUnexpected(warning: string): boolean {
	return !/tables were not subscribed|subscription was created, but is not connected|DATABASE source|database source/.test(
		warning,
	);
}

/** Version 16 writes the name of a transform in other words. */
function asNamedSince16(object: DatabaseObject): DatabaseObject {
	return { ...object, name: object.name.replace(/^(for .*) on (language .*)$/, '$1 $2') };
}
