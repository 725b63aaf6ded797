import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { inspectDatabase } from '../../../../../lib/databases/postgres/restore/restore';
import { startPostgres, type PostgresMajor, type PostgresServer } from '../../../../servers/postgres';
import { assertSameText } from '../helpers';

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

const settings = { wal_level: 'logical' };

for (const version of [13, 15] satisfies PostgresMajor[]) {
	describe(`a custom archive of pg_dump, PostgreSQL ${version}`, () => {
		let server: PostgresServer;
		let expected: string;
		let archive: Buffer;

		before(async () => {
			server = await startPostgres({ version, settings });
			await createRoles(server);
			await createDatabase(server, 'source');
			await psqlFile(server, 'source', tortureSql);
			if (version > 13) await psqlFile(server, 'source', torture14Sql);
			expected = await contentOf(server, 'source');
			archive = await pgDump(server, 'source', '-Fc');
		});
		after(() => server.stop());

		for (const args of [[], ['-Z0'], ['--inserts'], ['--encoding=GB18030', '--quote-all-identifiers']]) {
			test(`comes back as it was, written with ${args.join(' ') || 'gzip'}`, async () => {
				const database = await createDatabase(server, `to ${args.join(' ')}`);
				const dump = args.length === 0 ? archive : await pgDump(server, 'source', '-Fc', ...args);
				await restore(server, database, dump, {
					expectedTables: [{ schema: 'public', name: 'orders', rows: 500 }],
				});
				assertSameText(expected, await contentOf(server, database));
			});
		}

		test('only some tables of it', async () => {
			const database = await createDatabase(server, 'some');
			const only = { tables: ['base', 'child'], sections: ['pre-data', 'data'] as const, noPrivileges: true };
			const report = await restore(server, database, archive, {
				only,
				expectedTables: [
					{ schema: 'public', name: 'orders', rows: 500 },
					{ schema: 'public', name: 'child', rows: 2 },
				],
			});
			assert.deepEqual(report.tables, [{ schema: 'public', name: 'child', rows: 2 }]);
			const { objects } = await inspectDatabase(server.connection(database));
			assert.deepEqual(
				objects.map(({ name }) => name),
				['public.base', 'public.child'],
			);
			assert.equal(await psql(server, database, 'SELECT sum(a) FROM public.base'), '7');
		});

		test('cut anywhere it is refused, and the target stays as it was', async () => {
			const database = await createDatabase(server, 'kept');
			await psql(server, database, 'CREATE TABLE one AS SELECT 1 AS x');
			const before = await contentOf(server, database);
			for (const part of [0.2, 0.6, 0.95, 0.9999]) {
				const cut = archive.subarray(0, Math.floor(archive.length * part));
				await assert.rejects(restore(server, database, cut, { ifNotEmpty: 'clean' }), {
					code: 'ARCHIVE_DAMAGED',
				});
			}
			assert.equal(await contentOf(server, database), before);
		});
	});
}

test('an archive of PostgreSQL 15 goes into the newest server', async () => {
	const from = await startPostgres({ version: 15, settings });
	const to = await startPostgres({ version: 18, settings });
	try {
		for (const server of [from, to]) {
			await createRoles(server);
			await createDatabase(server, 'shop');
		}
		await psqlFile(from, 'shop', tortureSql);
		await restore(to, 'shop', await pgDump(from, 'shop', '-Fc'));
		const names = async (server: PostgresServer) =>
			(await inspectDatabase(server.connection('shop'))).objects
				.filter(({ kind }) => kind !== 'transform')
				.map(({ kind, name }) => `${kind} ${name}`);
		assert.deepEqual(await names(to), await names(from));
		const rows =
			'SELECT md5(string_agg(o::text, chr(10) ORDER BY id)), md5(lo_get(4711)) FROM public.orders o';
		assert.equal(await psql(to, 'shop', rows), await psql(from, 'shop', rows));
	} finally {
		await Promise.all([from.stop(), to.stop()]);
	}
});

test('what is no dump is told by its first bytes', async () => {
	const server = await startPostgres({ version: 18 });
	try {
		for (const [start, message] of [
			['\x1f\x8b\x08', /gzip/],
			['\x28\xb5\x2f\xfd', /zstd/],
			['age-encryption.org/v1', /age/],
			['toc.dat\0\0', /tar archive/],
			['\xff\xfeS\0', /UTF-16/],
			['SQLite format 3\0', /SQLite/],
		] as const) {
			const bytes = Buffer.from(start.padEnd(100, '\0'), 'latin1');
			await assert.rejects(restore(server, 'postgres', bytes), { code: 'UNSUPPORTED_FORMAT', message });
		}
		await assert.rejects(restore(server, 'postgres', 'SELECT 1;', { only: { tables: ['x'] } }), {
			code: 'INVALID_OPTION',
		});
		await assert.rejects(restore(server, 'postgres', ''), { code: 'INCOMPLETE' });
	} finally {
		await server.stop();
	}
});
