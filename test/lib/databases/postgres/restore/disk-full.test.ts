import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { LifeboatError } from '../../../../../lib/errors';
import { startPostgres, type PostgresServer } from '../../../../servers/postgres';

import { contentOf, createDatabase, pgDump, psql, restore } from './server-tools';

/** Room for the live database, for an empty one beside it, and for a part of what is restored. */
const ROOM = 24_000_000;

let server: PostgresServer;
let untouched: string;
const dumps = new Map<string, Buffer>();

before(async () => {
	server = await startPostgres({ version: 15, smallDisk: ROOM, settings: { autovacuum: 'off' } });
	await psql(server, 'postgres', `CREATE TABLESPACE small LOCATION '${server.folder}/small'`);
	await createDatabase(server, 'live', 'TABLESPACE small');
	await psql(server, 'live', 'CREATE TABLE present AS SELECT n FROM generate_series(1, 1000) n');
	untouched = await contentOf(server, 'live');
	await createDatabase(server, 'source');
	for (const table of ['one', 'two'])
		await psql(
			server,
			'source',
			`CREATE TABLE ${table} AS SELECT n, repeat(md5(n::text), 10) AS text FROM generate_series(1, 15000) n`,
			`CREATE INDEX ON ${table} (text)`,
		);
	dumps.set('custom', await pgDump(server, 'source', '-Fc'));
	dumps.set('plain', await pgDump(server, 'source'));
});
after(() => server.stop());

const cases = [
	{ format: 'plain', options: { target: { kind: 'swap' } } },
	{ format: 'custom', options: { target: { kind: 'swap' }, parallelConnections: 2 } },
	{ format: 'plain', options: { ifNotEmpty: 'clean' } },
] as const;

for (const { format, options } of cases) {
	test(`the disk of the server fills up, format ${format}, ${JSON.stringify(options)}`, async () => {
		const isSwap = 'target' in options;
		await assert.rejects(restore(server, 'live', dumps.get(format)!, options), (error) => {
			assert.ok(error instanceof LifeboatError);
			assert.equal(error.code, 'SERVER_DISK_FULL');
			assert.match(
				error.message,
				/^Restoring database live\b.* No space left on device.* Nothing was changed/,
			);
			assert.match(error.hint!, isSwap ? /side by side/ : /is full/);
			return true;
		});
		assert.ok((await contentOf(server, 'live')) === untouched);
		const databases =
			"SELECT string_agg(datname, ' ' ORDER BY datname) FROM pg_database WHERE NOT datistemplate";
		assert.equal(await psql(server, 'postgres', databases), 'live postgres source');
		// What was written is gone, and the database takes rows again.
		await psql(server, 'live', 'CREATE TABLE more AS SELECT * FROM present', 'DROP TABLE more');
		const size = await psql(server, 'postgres', "SELECT pg_tablespace_size('small') < 9000000");
		assert.equal(size, 't');
	});
}
