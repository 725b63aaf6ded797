import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import type { SqlCheck } from '../../../../../lib/databases/scratch';
import { startPostgres, type PostgresServer } from '../../../../servers/postgres';

import { createDatabase, psql, restore } from './server-tools';

const script = 'CREATE TABLE orders (id integer); INSERT INTO orders VALUES (1), (2);';
const good: SqlCheck = { name: 'Orders', sql: 'SELECT count(*) FROM orders', expect: 'equals', value: '2' };
const wrong: SqlCheck = { name: 'Many orders', sql: 'SELECT count(*) > 9 FROM orders', expect: 'true' };
const writes: SqlCheck = { name: 'Writes', sql: 'DELETE FROM orders RETURNING id', expect: 'rows' };

let server: PostgresServer;
const databases = async () =>
	psql(
		server,
		'postgres',
		"SELECT string_agg(datname, ',' ORDER BY datname) FROM pg_database WHERE NOT datistemplate",
	);

before(async () => {
	server = await startPostgres({ version: 15 });
	await createDatabase(server, 'live');
	await psql(server, 'live', 'CREATE TABLE old (x integer)');
});
after(() => server.stop());

test('a swap comes about only if all checks pass', async () => {
	const target = { kind: 'swap', old: 'drop' } as const;
	for (const [sqlChecks, message] of [
		[[good, wrong], /"Many orders" \(it is f\)\. live is as it was before/],
		[[writes], /"Writes" \(.*live is as it was before/],
	] as const) {
		await assert.rejects(restore(server, 'live', script, { target, sqlChecks }), {
			code: 'CHECK_FAILED',
			message,
		});
		assert.equal(await databases(), 'live,postgres');
		assert.equal(await psql(server, 'live', 'SELECT count(*) FROM old'), '0');
	}
	const { checks } = await restore(server, 'live', script, { target, sqlChecks: [good] });
	assert.deepEqual(checks, [{ name: 'Orders', passed: true, detail: 'it is 2' }]);
	assert.equal(await psql(server, 'live', 'SELECT count(*) FROM orders'), '2');
});

test('a new database is kept only if all checks pass, in time', async () => {
	const target = { kind: 'new' } as const;
	const slow: SqlCheck = { name: 'Slow', sql: 'SELECT pg_sleep(60)', expect: 'rows' };
	for (const sqlChecks of [[wrong], [slow]]) {
		await assert.rejects(restore(server, 'fresh', script, { target, sqlChecks, checkTimeoutMs: 300 }), {
			code: 'CHECK_FAILED',
			message: /fresh was not kept/,
		});
		assert.equal(await databases(), 'live,postgres');
	}
	const stop = new AbortController();
	const onProgress = ({ step }: { step: string }) => {
		if (step === 'asking the SQL checks') setTimeout(() => stop.abort(), 200);
	};
	const context = { signal: stop.signal, onProgress };
	await assert.rejects(restore(server, 'fresh', script, { target, sqlChecks: [slow] }, context), {
		code: 'CANCELLED',
	});
	assert.equal(await databases(), 'live,postgres');
});

test('a database in use is not asked', async () => {
	await createDatabase(server, 'used');
	await assert.rejects(restore(server, 'used', script, { sqlChecks: [good] }), { code: 'INVALID_OPTION' });
	assert.equal(
		await psql(server, 'used', 'SELECT count(*) FROM pg_tables WHERE tablename = $$orders$$'),
		'0',
	);
});
