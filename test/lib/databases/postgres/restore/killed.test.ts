import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import type { PostgresRestoreOptions } from '../../../../../lib/databases/postgres/restore/restore';
import { startPostgres, type PostgresServer } from '../../../../servers/postgres';
import { withFolder } from '../helpers';

import type { KilledRestore } from './kill-child';
import { contentOf, createDatabase, dumpOfShop, psql, restore } from './server-tools';

let server: PostgresServer;
let dump: Buffer;

before(async () => {
	server = await startPostgres({ version: 15 });
	dump = await dumpOfShop(server);
	await createDatabase(server, 'live');
	await psql(
		server,
		'live',
		"CREATE TABLE present AS SELECT 'kept' AS what; COMMENT ON DATABASE live IS 'the live one'",
	);
});
after(() => server.stop());

const databases = () =>
	psql(
		server,
		'postgres',
		"SELECT string_agg(datname, ' ' ORDER BY datname) FROM pg_database WHERE NOT datistemplate",
	);

/** Until the sessions of the dead have ended. */
async function settled(): Promise<void> {
	const query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'lifeboat restore'";
	for (const deadline = Date.now() + 20_000; (await psql(server, 'postgres', query)) !== '0';)
		assert.ok(Date.now() < deadline, 'a session stays');
}

async function killed(database: string, stage: string, options: PostgresRestoreOptions): Promise<void> {
	await withFolder(async (folder) => {
		const file = join(folder, 'dump');
		await writeFile(file, dump);
		const job: KilledRestore = { connection: server.connection(database), file, options, stage };
		const child = spawn(
			process.execPath,
			['--import', 'tsx', join(__dirname, 'kill-child.ts'), JSON.stringify(job)],
			{
				stdio: 'inherit',
			},
		);
		const [, signal] = (await once(child, 'exit')) as [number | null, string | null];
		assert.equal(signal, 'SIGKILL', `it never came to the stage ${stage}`);
		await settled();
	});
}

const expectedTables = [{ schema: 'public', name: 'orders', rows: 100 }];

describe('a restore whose process is killed', () => {
	for (const parallelConnections of [1, 2]) {
		const stages = ['open', 'rows of public.', 'counting rows', 'putting the restored'];
		if (parallelConnections > 1) stages.push('building indexes');
		for (const stage of stages) {
			test(`at "${stage}" of a swap, ${parallelConnections} connections: the old database serves on, the next run cleans up`, async () => {
				const target = { kind: 'swap', old: 'drop' } as const;
				const before = await contentOf(server, 'live');
				await killed('live', stage, { target, parallelConnections, expectedTables });
				assert.ok((await contentOf(server, 'live')) === before);
				const [left] = /live_restore_[0-9a-f]{8}/.exec(await databases()) ?? [];
				assert.ok(left, 'the scratch database stays behind');
				const again = await restore(server, 'live', dump, {
					target: { kind: 'swap' },
					parallelConnections,
					expectedTables,
				});
				assert.match(again.warnings.join(), new RegExp(`The database ${left}, .* was removed`));
				assert.equal(await databases(), `live ${again.keptAs} postgres source`);
				const comment =
					"SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = 'live'";
				assert.equal(await psql(server, 'postgres', comment), 'the live one');
				await psql(
					server,
					'postgres',
					'DROP DATABASE live',
					`ALTER DATABASE "${again.keptAs}" RENAME TO live`,
				);
			});
		}
	}

	test('into a new database: the next run finds it unfinished, and makes it anew', async () => {
		const target = { kind: 'new' } as const;
		await killed('fresh', 'building indexes', { target, parallelConnections: 2 });
		assert.match(await databases(), /\bfresh\b/);
		const again = await restore(server, 'fresh', dump, { target });
		assert.match(again.warnings.join(), /The database fresh, .* was removed/);
		assert.equal(await psql(server, 'fresh', 'SELECT count(*) FROM orders'), '100');
		const comment =
			"SELECT shobj_description(oid, 'pg_database') IS NULL FROM pg_database WHERE datname = 'fresh'";
		assert.equal(await psql(server, 'postgres', comment), 't');
		await assert.rejects(restore(server, 'fresh', dump, { target }), { code: 'DATABASE_EXISTS' });
		await psql(server, 'postgres', 'DROP DATABASE fresh');
	});

	test('into an existing database: the server rolls it back', async () => {
		const before = await contentOf(server, 'live');
		for (const stage of ['rows of public.', 'counting rows'])
			await killed('live', stage, { ifNotEmpty: 'clean', expectedTables });
		assert.ok((await contentOf(server, 'live')) === before);
	});

	test('a database that only looks like one left over is named, not dropped', async () => {
		await createDatabase(server, 'live_restore_12345678');
		const report = await restore(server, 'live', dump, { target: { kind: 'swap', old: 'drop' } });
		assert.match(report.warnings.join(), /live_restore_12345678 looks like/);
		assert.match(await databases(), /live_restore_12345678/);
	});
});
