import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';

import { startPostgres, type PostgresServer } from '../../../servers/postgres';

import { dumpText, dumpToFile, withFolder } from './helpers';
import { createDatabase, psql, restore } from './restore/server-tools';

/** More objects than a small server can lock at once. */
let large: PostgresServer;
let small: PostgresServer;

before(async () => {
	large = await startPostgres({ version: 15 });
	// Room for some 250 locks, and the little more that the server leaves unused.
	small = await startPostgres({
		version: 15,
		settings: { max_locks_per_transaction: '10', max_connections: '25', max_wal_senders: '0' },
	});
	await createDatabase(large, 'many');
	await psql(
		large,
		'many',
		`DO $$BEGIN FOR i IN 1..400 LOOP
			EXECUTE format('CREATE TABLE t%s (id serial PRIMARY KEY, v text DEFAULT ''x'')', i);
			EXECUTE format('INSERT INTO t%s DEFAULT VALUES', i);
		END LOOP; END$$`,
		'ALTER TABLE t9 ADD FOREIGN KEY (id) REFERENCES t400',
		`SELECT lo_from_bytea(4711, decode(repeat('00ff', 40000), 'hex'))`,
	);
});
after(async () => {
	await large.stop();
	await small.stop();
});

for (const format of ['plain', 'custom'] as const) {
	test(`a database with more tables than the server can lock comes back, format ${format}`, async () => {
		await withFolder(async (folder) => {
			const expectedTables = await dumpToFile(large.connection('many'), `${folder}/dump`, { format });
			const dump = await readFile(`${folder}/dump`);
			if (format === 'plain') {
				const existing = await createDatabase(small, 'existing');
				await assert.rejects(restore(small, existing, dump), { code: 'TOO_MANY_LOCKS' });
			}
			const database = `new_${format}`;
			const parallelConnections = format === 'custom' ? 2 : 1;
			const { tables } = await restore(small, database, dump, {
				...{ target: { kind: 'new' }, expectedTables, parallelConnections },
			});
			assert.equal(tables.length, 400);
			assert.equal(await psql(small, database, 'SELECT length(lo_get(4711))'), '80000');
		});
	});
}

test('a dump that needs more locks than the server has says so', async () => {
	await createDatabase(small, 'source');
	for (let part = 0; part < 8; part++)
		await psql(
			small,
			'source',
			`DO $$BEGIN FOR i IN 1..90 LOOP EXECUTE format('CREATE TABLE t%s ()', i + ${part * 90}); END LOOP; END$$`,
		);
	await assert.rejects(dumpText(small.connection('source')), {
		code: 'TOO_MANY_LOCKS',
		hint: /max_locks_per_transaction/,
	});
});
