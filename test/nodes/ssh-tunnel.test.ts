import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { Container } from '@n8n/di';
import { SSHClientsManager } from 'n8n-core/dist/execution-engine/ssh-clients-manager';

import { startPostgres, type PostgresServer } from '../servers/postgres';
import { startSshd, type SshServer } from '../servers/sshd';

import { runWorkflow } from './engine';
import { createShop, postgresCredential, staged, temporaryFolder } from './fixtures';
import { listSearch } from './node-methods';

let postgres: PostgresServer;
let ssh: SshServer;
let folder: Awaited<ReturnType<typeof temporaryFolder>>;

before(async () => {
	[postgres, ssh, folder] = await Promise.all([
		startPostgres({ version: 15 }),
		startSshd(),
		temporaryFolder(),
	]);
	await createShop(postgres, 'shop');
});

after(async () => {
	// n8n keeps idle clients for minutes, and with them the process.
	Container.get(SSHClientsManager).onShutdown();
	await Promise.all([postgres?.stop(), ssh?.stop(), folder?.remove()]);
});

const credential = (change: object = {}) => ({
	...postgresCredential(postgres, 'shop'),
	...{ sshTunnel: true, sshHost: ssh.host, sshPort: ssh.port, sshUser: ssh.user },
	...{ sshAuthenticateWith: 'privateKey', privateKey: ssh.privateKey, passphrase: '' },
	...change,
});

test('a dump through the SSH tunnel of the Postgres credential', async () => {
	const result = await runWorkflow({
		allowedFolders: [folder.path],
		credentials: { postgres: credential() },
		nodes: [{ type: 'dumpDatabase' }],
	});
	const [{ manifest }] = result.assertSuccess().json('dumpDatabase') as [
		{ manifest: { tables: { rows: number }[] } },
	];
	assert.equal(
		manifest.tables.reduce((sum, { rows }) => sum + rows, 0),
		2200,
	);
});

test('the list of databases comes through it, too', async () => {
	const { results } = await listSearch(
		{ type: 'dumpDatabase', credentials: { postgres: credential() } },
		'listDatabases',
		'SHO',
	);
	assert.deepEqual(results, [{ name: 'shop', value: 'shop' }]);
});

test('a tunnel that cannot be opened says so', async () => {
	const result = await runWorkflow({
		allowedFolders: [folder.path],
		credentials: { postgres: credential({ sshUser: 'nobody-of-this-name' }) },
		nodes: [{ type: 'dumpDatabase' }],
	});
	assert.match(result.error!.message, /SSH tunnel to 127\.0\.0\.1/);
	assert.match(result.error!.description!, /SSH host, port, user and key/);
	assert.ok(!result.error!.text.includes('PRIVATE KEY'));
	assert.deepEqual(await staged(folder.path), []);
});
