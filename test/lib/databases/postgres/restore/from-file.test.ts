import assert from 'node:assert/strict';
import { stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { openFile } from '../../../../../lib/artifact/file-artifact';
import { restorePostgres } from '../../../../../lib/databases/postgres/restore/restore';
import { startPostgres, type PostgresServer } from '../../../../servers/postgres';
import { withFolder } from '../helpers';

import { contentOf, createDatabase, pgDump, psql } from './server-tools';

let server: PostgresServer;

before(async () => {
	server = await startPostgres({ version: 15, settings: { autovacuum: 'off' } });
});
after(() => server.stop());

test('rows of a file, whose memory is used again and again while the server still takes them', async () => {
	await createDatabase(server, 'source');
	await psql(
		server,
		'source',
		`CREATE TABLE many AS SELECT n, repeat(md5(n::text), 1 + n % 9) AS text FROM generate_series(1, 100000) n`,
		`CREATE TABLE wide AS SELECT n, repeat(md5(n::text), 90000) AS text FROM generate_series(1, 4) n`,
	);
	const expected = await contentOf(server, 'source');
	await withFolder(async (folder) => {
		const file = join(folder, 'source.sql');
		const script = await pgDump(server, 'source');
		await writeFile(file, Buffer.concat([script, Buffer.from('SELECT broken;\n')]));
		assert.ok((await stat(file)).size > 2 ** 24);
		const failing = restorePostgres(server.connection('target'), async () => openFile(file), {
			target: { kind: 'new' },
		});
		// Lines are counted rightly, too.
		const lines = script.toString('latin1').split('\n').length;
		await assert.rejects(failing, new RegExp(` on line ${lines} of the script`));
		await writeFile(file, script);
		await restorePostgres(server.connection('target'), async () => openFile(file), {
			target: { kind: 'new' },
		});
		assert.ok((await contentOf(server, 'target')) === expected);
	});
});
