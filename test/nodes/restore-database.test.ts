import assert from 'node:assert/strict';
import { stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { createAgeIdentity } from '../../lib/encryption/encryption';
import { startPostgres, type PostgresServer } from '../servers/postgres';

import { runWorkflow } from './engine';
import { createShop, describeDatabase, exec, postgresCredential, sql, temporaryFolder } from './fixtures';
import { listSearch } from './node-methods';

describe('the node Restore with dumps of any origin', () => {
	let server: PostgresServer;
	let folder: Awaited<ReturnType<typeof temporaryFolder>>;
	let keys: { identity: string; recipient: string };
	let original: string;
	const restore = async (
		parameters: Record<string, unknown>,
		before: Parameters<typeof runWorkflow>[0]['nodes'] = [],
	) =>
		await runWorkflow({
			nodes: [...before, { type: 'restore', parameters: { operation: 'database', ...parameters } }],
			allowedFolders: [folder.path],
			credentials: {
				postgres: postgresCredential(server, 'shop'),
				lifeboatEncryptionApi: { recipients: keys.recipient, identity: keys.identity, passphrase: '' },
			},
		});
	const file = (name: string) => join(folder.path, name);

	before(async () => {
		[server, folder, keys] = await Promise.all([
			startPostgres({ version: 15 }),
			temporaryFolder(),
			createAgeIdentity(),
		]);
		await createShop(server, 'shop');
		original = await describeDatabase(server, 'shop');
		const env = server.env('shop');
		await exec('pg_dump', ['-f', file('plain.sql')], { env });
		await exec('pg_dump', ['-Fc', '-f', file('shop.dump')], { env });
		await exec('pg_dump', ['-Ft', '-f', file('shop.tar')], { env });
		await exec('pg_dump', ['-Fd', '-f', file('folder')], { env });
		await exec('pg_dumpall', ['-f', file('all.sql')], { env });
		await exec('gzip', ['-k', file('plain.sql')]);
		await exec('zstd', ['-q', file('shop.dump'), '-o', file('shop.dump.zst')]);
		await exec('age', ['-r', keys.recipient, '-o', file('shop.dump.zst.age'), file('shop.dump.zst')]);
		await writeFile(file('lz4'), Buffer.from('04224d1864a7', 'hex'));
	});
	after(async () => {
		await server?.stop();
		await folder?.remove();
	});

	for (const [at, name] of ['plain.sql', 'plain.sql.gz', 'shop.dump', 'shop.dump.zst.age'].entries()) {
		test(`${name} comes back as it was`, async () => {
			const targetDatabase = `copy_${at}`;
			const options = { parallelConnections: 2, analyze: true };
			const run = await restore({
				takeFrom: 'file',
				filePath: file(name),
				target: 'new',
				targetDatabase,
				options,
			});
			run.assertSuccess();
			const [{ restored }] = run.json('restore') as [{ restored: Record<string, unknown> }];
			assert.equal(restored.rows, 2200);
			assert.equal(restored.format, name.startsWith('plain') ? 'plain-sql' : 'pg-custom');
			assert.equal(restored.layers, { 1: 'gzip', 3: 'age, zstd' }[at]);
			assert.equal(
				restored.bytes,
				(await stat(file(name.startsWith('plain') ? 'plain.sql' : 'shop.dump'))).size,
			);
			assert.ok('megabytesPerSecond' in restored);
			assert.ok((await describeDatabase(server, targetDatabase)) === original);
		});
	}

	test('the target is chosen from the databases of the server, or named', async () => {
		const choice = {
			type: 'restore',
			parameters: { operation: 'database' },
			credentials: { postgres: postgresCredential(server, 'shop') },
		};
		const { results } = await listSearch(choice, 'listDatabases', 'sho');
		assert.deepEqual(results, [{ name: 'shop', value: 'shop' }]);
		// As the editor stores what is chosen. It holds rows: the default leaves it alone.
		const targetDatabase = { __rl: true, mode: 'list', value: 'shop', cachedResultName: 'shop' };
		const run = await restore({ takeFrom: 'file', filePath: file('plain.sql'), targetDatabase });
		assert.match(run.error!.message, /shop.* not empty/);
		assert.match(run.error!.description!, /If Target Is Not Empty/);
	});

	for (const [name, message] of [
		['shop.tar', /tar archive of pg_dump/],
		['folder', /directory format of pg_dump/],
		['all.sql', /output of pg_dumpall/],
		['lz4', /lz4/],
	] as const) {
		test(`${name} is refused, and no database is made`, async () => {
			const run = await restore({
				takeFrom: 'file',
				filePath: file(name),
				target: 'new',
				targetDatabase: 'no',
			});
			assert.match(run.error?.message ?? '', message);
			assert.deepEqual(await sql(server, 'postgres', "SELECT 1 FROM pg_database WHERE datname = 'no'"), []);
		});
	}

	test('a table of a backup, in another schema, first dry, then really', async () => {
		const backup = { type: 'dumpDatabase', parameters: { name: 'shop' } };
		const parameters = { target: 'existing', targetDatabase: 'shop' };
		const options = { tables: ['public.customers'], intoSchema: 'yesterday' };
		const dry = await restore({ ...parameters, options: { ...options, dryRun: true } }, [backup]);
		dry.assertSuccess();
		assert.deepEqual(
			dry.json('restore').find(({ kind }) => kind === 'table'),
			{
				database: 'shop',
				action: 'create',
				kind: 'table',
				schema: 'yesterday',
				name: 'customers',
				rows: 200,
			},
		);
		assert.ok((await describeDatabase(server, 'shop')) === original, 'a dry run touches nothing');
		const run = await restore({ ...parameters, options }, [backup]);
		run.assertSuccess();
		assert.deepEqual(await sql(server, 'shop', 'SELECT count(*)::int FROM yesterday.customers'), [[200]]);
		await sql(server, 'shop', 'DROP SCHEMA yesterday CASCADE');
		assert.ok((await describeDatabase(server, 'shop')) === original);
	});

	test('what belongs to the database as a whole comes from the backup where that is wanted', async () => {
		await sql(server, 'postgres', "ALTER DATABASE shop SET work_mem TO '7MB'");
		const backup = { type: 'dumpDatabase', parameters: { name: 'shop' } };
		const settings = async (name: string) =>
			await sql(
				server,
				'postgres',
				`SELECT setconfig[1] FROM pg_db_role_setting s JOIN pg_database d ON d.oid = setdatabase WHERE datname = '${name}'`,
			);
		for (const [target, databaseProperties, expected] of [
			['new', undefined, [['work_mem=7MB']]],
			['swap', 'backup', [['work_mem=7MB']]],
			['swap', undefined, [['work_mem=9MB']]],
		] as const) {
			const options = databaseProperties ? { databaseProperties } : {};
			const parameters = { target, targetDatabase: 'settled', presentContent: 'drop', options };
			(await restore(parameters, [backup])).assertSuccess();
			assert.deepEqual(await settings('settled'), expected);
			await sql(server, 'postgres', "ALTER DATABASE settled SET work_mem TO '9MB'");
		}
		await sql(server, 'postgres', 'ALTER DATABASE shop RESET work_mem');
	});

	test('a swap that fails an SQL check leaves the database as it was', async () => {
		const backup = { type: 'dumpDatabase', parameters: { name: 'shop' } };
		const swap = async (value: string) => {
			const check = [{ name: 'Customers', sql: 'SELECT count(*) FROM customers', expect: 'equals', value }];
			const parameters = { target: 'swap', targetDatabase: 'settled', presentContent: 'drop' };
			return await restore({ ...parameters, options: { sqlChecks: { check } } }, [backup]);
		};
		await sql(server, 'settled', 'CREATE TABLE mine (x int)');
		const failed = await swap('3');
		assert.match(failed.error!.message, /"Customers" \(it is 200, not 3\)\. settled is as it was before/);
		assert.deepEqual(await sql(server, 'settled', 'SELECT count(*)::int FROM mine'), [[0]]);
		const run = await swap('200');
		run.assertSuccess();
		const [{ restored }] = run.json('restore') as [{ restored: Record<string, unknown> }];
		assert.deepEqual(restored.checks, [{ name: 'Customers', passed: true, detail: 'it is 200' }]);
	});

	test('merged into what is there, with a role in the place of another', async () => {
		await sql(server, 'postgres', 'CREATE ROLE clerk');
		await sql(server, 'shop', 'DELETE FROM orders WHERE id > 1990');
		const run = await restore({
			...{
				takeFrom: 'file',
				filePath: file('shop.dump'),
				target: 'existing',
				targetDatabase: 'shop',
				ifNotEmpty: 'merge',
			},
			options: {
				tables: ['public.orders', 'public.customers'],
				roles: { role: [{ from: 'postgres', to: 'clerk' }] },
			},
		});
		run.assertSuccess();
		const [{ restored }] = run.json('restore') as [{ restored: Record<string, unknown> }];
		assert.deepEqual([restored.rows, restored.keptRows], [10, 2190]);
		assert.ok((await describeDatabase(server, 'shop')) === original);
	});

	test("a script that creates and enters its own database, as people's scripts do", async () => {
		await writeFile(
			file('own.sql'),
			"DROP DATABASE IF EXISTS own;\n/* a /* nested */ comment */\nCREATE DATABASE own;\n\\c own;\nCREATE TABLE artist (id int, name varchar(9));\nINSERT INTO artist VALUES (1, N'A;C');\n",
		);
		const parameters = {
			takeFrom: 'file',
			filePath: file('own.sql'),
			target: 'new',
			targetDatabase: 'theirs',
		};
		const stopped = await restore(parameters);
		assert.match(stopped.error?.message ?? '', /DROP DATABASE IF EXISTS own/);
		const dry = await restore({ ...parameters, options: { dryRun: true } });
		assert.deepEqual(
			dry.json('restore').map(({ action, kind, name }) => [action, kind, name]),
			[
				['create', 'database', 'theirs'],
				['create', 'table', 'artist'],
			],
		);
		const run = await restore({ ...parameters, options: { metaCommands: 'skip-connect' } });
		run.assertSuccess();
		assert.deepEqual(await sql(server, 'theirs', 'SELECT name FROM artist'), [['A;C']]);
	});

	test('the roles of a server, told by themselves', async () => {
		await writeFile(
			file('globals.sql'),
			'--\n-- PostgreSQL database cluster dump\n--\n\nCREATE ROLE postgres;\nCREATE ROLE seller;\nALTER ROLE seller WITH LOGIN;\n\n--\n-- PostgreSQL database cluster dump complete\n--\n',
		);
		const run = await restore({ takeFrom: 'file', filePath: file('globals.sql'), target: 'new' });
		run.assertSuccess();
		const [{ restored }] = run.json('restore') as [{ restored: Record<string, unknown> }];
		assert.deepEqual(
			[restored.kind, restored.roles, restored.keptRoles],
			['globals', ['seller'], ['postgres']],
		);
		assert.deepEqual(await sql(server, 'shop', "SELECT rolcanlogin FROM pg_roles WHERE rolname = 'seller'"), [
			[true],
		]);
	});
});
