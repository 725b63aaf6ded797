import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { Client } from 'pg';

import { loadSql } from '../../demo/load-sql';
import { startPostgres, type PostgresServer } from '../servers/postgres';

describe('loading a script', () => {
	let server: PostgresServer;
	let folder: string;
	const script = async (text: string) => {
		const path = join(folder, 'script.sql');
		await writeFile(path, text);
		return path;
	};

	before(async () => {
		server = await startPostgres();
		folder = await mkdtemp(join(tmpdir(), 'lifeboat-sql-'));
	});
	after(async () => {
		await server.stop();
		await rm(folder, { recursive: true });
	});

	test('creates a database, changes to it, and tells its name', async () => {
		const path = await script(
			`\uFEFFDROP DATABASE IF EXISTS other;\nCREATE DATABASE other;\n\\c other;\nCREATE TABLE t (a text);\nINSERT INTO t\nVALUES ('x;\n\\\\c');\n`,
		);
		assert.equal(await loadSql(server.connection(), path), 'other');
		const client = new Client(server.connection('other'));
		await client.connect();
		try {
			assert.deepEqual((await client.query('SELECT a FROM t')).rows, [{ a: 'x;\n\\\\c' }]);
		} finally {
			await client.end();
		}
	});

	test('stays in the database it begins in', async () => {
		assert.equal(await loadSql(server.connection(), await script('CREATE TABLE here ();')), 'postgres');
	});

	test('refuses what only psql can run, and fails with the statement that fails', async () => {
		const load = async (text: string) => loadSql(server.connection(), await script(text));
		await assert.rejects(load('\\i other.sql\n'), /needs psql.*\\i other\.sql/);
		await assert.rejects(load('COPY t FROM stdin;\n1\n\\.\n'), /needs psql.*COPY t FROM stdin/);
		await assert.rejects(load('SELECT * FROM nowhere;\n'), /"nowhere" does not exist/);
	});
});
