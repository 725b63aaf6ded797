import assert from 'node:assert/strict';
import { join } from 'node:path';
import { mkdir, readdir } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';

import type { Manifest } from '../../lib/artifact/manifest';
import { startPostgres, type PostgresServer } from '../servers/postgres';

import { runWorkflow } from './engine';
import {
	createShop,
	describeDatabase,
	exec,
	postgresCredential,
	sql,
	staged,
	temporaryFolder,
} from './fixtures';

describe('Dump Database: a whole server', () => {
	let server: PostgresServer;
	let folder: Awaited<ReturnType<typeof temporaryFolder>>;
	let destination: string;

	before(async () => {
		[server, folder] = await Promise.all([startPostgres({ version: 15 }), temporaryFolder()]);
		destination = join(folder.path, 'destination');
		await mkdir(destination);
		await createShop(server, 'shop', 500);
		await createShop(server, 'Lager 1', 300);
		await sql(server, 'postgres', `CREATE ROLE clerk LOGIN PASSWORD 'clerk'`);
		await sql(
			server,
			'postgres',
			'GRANT pg_read_all_data TO clerk',
			`CREATE ROLE guest LOGIN PASSWORD 'guest'`,
		);
		await sql(server, 'postgres', 'CREATE DATABASE template_of_ours IS_TEMPLATE true');
	});
	after(async () => {
		await server?.stop();
		await folder?.remove();
	});

	const run = async (node: object, nodes: Parameters<typeof runWorkflow>[0]['nodes'] = [], user?: string) =>
		await runWorkflow({
			allowedFolders: [folder.path],
			credentials: {
				postgres: { ...postgresCredential(server), ...(user ? { user, password: user } : {}) },
			},
			nodes: [{ type: 'dumpDatabase', ...node }, ...nodes],
		});
	const manifests = (items: unknown[]) => items.map((item) => (item as { manifest: Manifest }).manifest);

	test('each database comes, and what belongs to the server', async () => {
		const upload = { type: 'upload', parameters: { storage: 'local', folder: destination, prefix: 'db1' } };
		const done = await run({ parameters: { operation: 'dumpAll', namePrefix: 'db1-' } }, [
			{ type: 'verifyChecksum', parameters: { level: 'complete' } },
			upload,
		]);
		done.assertSuccess();
		const all = manifests(done.json('dumpDatabase'));
		assert.deepEqual(
			all.map(({ name, source }) => [name, source.type === 'database' && source.globals === true]),
			[
				['db1-Lager 1', false],
				['db1-postgres', false],
				['db1-shop', false],
				['db1-globals', true],
			],
		);
		assert.deepEqual(all[2]!.tables!.find(({ name }) => name === 'orders')!.rows, 500);
		assert.equal((await readdir(join(destination, 'db1'))).length, 4 * 3);
		const other = await startPostgres({ version: 15 });
		try {
			for (const [name, database] of [
				['globals', 'postgres'],
				['shop', 'shop'],
			] as const) {
				if (database === 'shop') await sql(other, 'postgres', 'CREATE DATABASE shop');
				const { fileName } = all.find((manifest) => manifest.name === `db1-${name}`)!;
				await exec('bash', ['-o', 'pipefail', '-c', 'zstd -dc "$FILE" | psql -X -q -v ON_ERROR_STOP=1 >&2'], {
					env: { ...other.env(database), FILE: join(destination, 'db1', fileName) },
				});
			}
			assert.equal(await describeDatabase(other, 'shop'), await describeDatabase(server, 'shop'));
			const roles = "SELECT rolpassword FROM pg_authid WHERE rolname = 'clerk'";
			assert.deepEqual(await sql(other, 'postgres', roles), await sql(server, 'postgres', roles));
		} finally {
			await other.stop();
		}
		assert.deepEqual(await staged(folder.path), []);
	});

	test('a database that can not be dumped is named, and does not keep the others back', async () => {
		await sql(server, 'postgres', 'CREATE DATABASE closed', 'CREATE DATABASE secret');
		await sql(server, 'postgres', 'ALTER DATABASE closed ALLOW_CONNECTIONS false');
		await sql(server, 'secret', 'CREATE TABLE hidden (x int)', 'REVOKE ALL ON SCHEMA public FROM PUBLIC');
		await sql(server, 'postgres', 'REVOKE CONNECT ON DATABASE secret FROM PUBLIC');
		const parameters = { operation: 'dumpAll', options: { globals: 'withoutPasswords' } };

		const stopped = await run({ parameters }, [], 'clerk');
		assert.equal(stopped.status, 'error');
		assert.match(
			stopped.error!.message,
			/^2 of 6 dumps failed\. Database closed: it can't be dumped: it takes no connections.*Database secret: it can't be dumped: user clerk may not connect/,
		);
		assert.match(stopped.error!.description!, /Exclude Databases.*On Error/s);
		assert.deepEqual(await staged(folder.path), []);

		const went = await run({ parameters, onError: 'continueErrorOutput' }, [], 'clerk');
		const [good, bad] = went.node('dumpDatabase').outputs;
		assert.deepEqual(
			manifests(good!.map(({ json }) => json)).map(({ name }) => name),
			['Lager 1', 'postgres', 'shop', 'globals'],
		);
		assert.deepEqual(
			bad!.map(({ json }) => (json.error as string).split(':')[0]),
			['Database closed', 'Database secret'],
		);

		const without = await run({
			parameters: {
				operation: 'dumpAll',
				options: { excludeDatabases: ['closed', 'secret', 'shop'], globals: 'exclude' },
			},
		});
		assert.deepEqual(
			manifests(without.json('dumpDatabase')).map(({ name }) => name),
			['Lager 1', 'postgres'],
		);
	});

	test('roles and tablespaces alone', async () => {
		const parameters = { operation: 'dumpGlobals', passwords: 'required' };
		const [manifest] = manifests((await run({ parameters })).json('dumpDatabase'));
		assert.equal(manifest!.name, 'globals');
		assert.match(manifest!.restoreCommands[1]!, /--dbname postgres$/);
		const refused = await run({ parameters }, [], 'guest');
		assert.match(refused.error!.message, /guest may not read the passwords/);
	});
});
