import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { startPostgres, type PostgresServer } from '../servers/postgres';
import { startProftpd, type ProftpdServer } from '../servers/proftpd';

import { runWorkflow, type WorkflowRun } from './engine';
import {
	createShop,
	describeDatabase,
	postgresCredential,
	sql,
	staged,
	stagedInTheEnd,
	temporaryFolder,
} from './fixtures';

describe('an FTP server as destination, through the nodes', () => {
	let postgres: PostgresServer;
	let server: ProftpdServer;
	let folder: Awaited<ReturnType<typeof temporaryFolder>>;

	before(async () => {
		[postgres, server, folder] = await Promise.all([
			startPostgres({ version: 15 }),
			startProftpd({ speaks: 'explicit-tls' }),
			temporaryFolder(),
		]);
		await createShop(postgres, 'shop');
	});

	after(async () => {
		await Promise.all([postgres?.stop(), server?.stop(), folder?.remove()]);
	});

	/** As n8n's own FTP credential holds it. */
	const credential = (change: object = {}) => ({
		...{ host: server.host, port: server.port, username: server.user, password: server.password },
		...change,
	});

	const run = async (nodes: WorkflowRun['nodes'], change: object = {}, more: Partial<WorkflowRun> = {}) =>
		await runWorkflow({
			allowedFolders: [folder.path],
			credentials: { postgres: postgresCredential(postgres, 'shop'), ftp: credential(change) },
			nodes,
			...more,
		});

	const dump = { type: 'dumpDatabase', parameters: { name: 'shop' } };
	const at = (prefix: string, more: object = {}) => ({
		...{ storage: 'ftp', security: 'explicit', folder: 'backups/n8n', caCertificate: server.ca, prefix },
		...more,
	});
	const upload = (prefix: string, more: object = {}) => ({ type: 'upload', parameters: at(prefix, more) });
	const stored = async (prefix: string) =>
		await readdir(join(server.folder, 'backups/n8n', prefix)).catch(() => []);

	test('up, listed, down, restored', async () => {
		(await run([dump, upload('nightly')])).assertSuccess();
		assert.equal((await stored('nightly')).length, 3);
		const list = await run([{ type: 'upload', parameters: at('nightly', { operation: 'list' }) }]);
		const rows = list
			.assertSuccess()
			.json('upload')
			.map((each) => each.rows);
		assert.deepEqual(rows, [2200]);
		await sql(postgres, 'postgres', 'CREATE DATABASE again');
		const download = {
			...{ type: 'upload', name: 'download' },
			parameters: at('nightly', { operation: 'download' }),
		};
		const restore = { type: 'restore', parameters: { targetDatabase: 'again' } };
		(await run([download, restore])).assertSuccess();
		assert.equal(await describeDatabase(postgres, 'again'), await describeDatabase(postgres, 'shop'));
		assert.deepEqual(await staged(folder.path), []);
	});

	test('a certificate nobody vouches for, a wrong login, a wrong security, no server', async () => {
		for (const [change, parameters, message] of [
			[{}, { caCertificate: '' }, /self-signed/],
			[{ password: 'not-the-password' }, {}, /does not let backup log in/],
			[{}, { security: 'none' }, /only lets backup log in over TLS/],
			[{ port: 1 }, {}, /nothing answers/],
		] as const) {
			const { status, error } = await run([dump, upload('x', parameters)], change);
			assert.equal(status, 'error');
			assert.match(error!.message, message);
			assert.ok(error!.description);
			assert.doesNotMatch(`${error!.message} ${error!.description}`, /ECONN|undefined/);
			assert.ok(!error!.text.includes('not-the-password'));
			assert.deepEqual(await stored('x'), []);
		}
		(await run([dump, upload('x', { caCertificate: '', ignoreTlsErrors: true })])).assertSuccess();
		assert.deepEqual(await staged(folder.path), []);
	});

	test('a cancelled upload leaves nothing', async () => {
		await sql(
			postgres,
			'shop',
			'CREATE TABLE noise AS SELECT n, md5(n::text) || md5((n * 7)::text) AS text FROM generate_series(1, 300000) n',
		);
		const stop = new AbortController();
		const result = await run(
			[dump, upload('cancelled')],
			{},
			{
				signal: stop.signal,
				onNodeStart: (name) => {
					if (name === 'upload') setTimeout(() => stop.abort(), 50);
				},
			},
		);
		assert.equal(result.status, 'canceled');
		assert.deepEqual(await stagedInTheEnd(folder.path), []);
		assert.deepEqual(await stored('cancelled'), []);
	});
});
