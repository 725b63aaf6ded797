import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Client } from 'pg';

import { startPostgres, type PostgresMajor } from './postgres';

for (const version of [13, 15, 16, 17, 18] satisfies PostgresMajor[]) {
	test(`PostgreSQL ${version} starts, checks passwords and stops`, async () => {
		const server = await startPostgres({ version });
		try {
			const client = new Client(server.connection());
			await client.connect();
			const { rows } = await client.query<{ server_version: string }>('SHOW server_version');
			assert.match(rows[0]!.server_version, new RegExp(`^${version}\\.`));
			await client.end();
			await assert.rejects(new Client({ ...server.connection(), password: 'wrong' }).connect(), {
				code: '28P01',
			});
		} finally {
			await server.stop();
		}
	});
}
