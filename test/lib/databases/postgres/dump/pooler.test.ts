import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { LifeboatError } from '../../../../../lib/errors';
import { postgresEngine } from '../../../../../lib/databases/postgres';
import { startPgBouncer } from '../../../../servers/pgbouncer';
import { startPostgres, type PostgresServer } from '../../../../servers/postgres';
import { dumpText, normalizeDump, psql, withClient } from '../helpers';

describe('behind a connection pooler', () => {
	let server: PostgresServer;

	before(async () => {
		server = await startPostgres({ version: 17 });
		await psql(server, 'postgres', { sql: 'CREATE TABLE t AS SELECT i FROM generate_series(1, 1000) i' });
	});
	after(async () => server.stop());

	for (const [mode, settings] of [
		['transaction', {}],
		['transaction', { server_round_robin: '1', min_pool_size: '4' }],
		['statement', {}],
	] as const) {
		test(`PgBouncer in ${mode} mode is refused ${JSON.stringify(settings)}`, async () => {
			const pooler = await startPgBouncer(server, mode, settings);
			try {
				const connection = { ...server.connection(), port: pooler.port };
				await assert.rejects(postgresEngine.prepareDump(connection, {}), (error) => {
					assert.ok(error instanceof LifeboatError);
					assert.equal(error.code, 'POOLED');
					assert.match(error.message, /PgBouncer in transaction mode/);
					return true;
				});
				// Nothing of ours stayed behind for those who come next.
				await withClient(connection, async (client) => {
					const { rows } = await client.query("SELECT current_setting('search_path') AS path");
					assert.deepEqual(rows, [{ path: '"$user", public' }]);
				});
			} finally {
				await pooler.stop();
			}
		});
	}

	test('PgBouncer in session mode works', async () => {
		const pooler = await startPgBouncer(server, 'session');
		try {
			const connection = { ...server.connection(), port: pooler.port };
			const direct = normalizeDump(await dumpText(server.connection()));
			assert.equal(normalizeDump(await dumpText(connection)), direct);
		} finally {
			await pooler.stop();
		}
	});
});
