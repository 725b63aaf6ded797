import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { Client, type ClientConfig } from 'pg';

import { createAgeIdentity } from '../lib/encryption/encryption';
import { startN8n, type N8nServer, type N8nServerOptions } from '../test/servers/n8n';
import type { N8nClient, StoredCredential } from '../test/servers/n8n-client';
import { startPostgres, type PostgresServer } from '../test/servers/postgres';

import type { Cleanup } from './cleanup';
import { loadSql } from './load-sql';
import { createSampleFiles } from './sample-files';
import type { S3Settings } from './settings';

/** Folders of the demo, all under one. */
export interface Folders {
	uploads: string;
	backups: string;
	/** Where n8n stages backups between two nodes. */
	scratch: string;
}

export async function makeFolders(cleanup: Cleanup): Promise<Folders> {
	const root = await mkdtemp(join(await realpath(tmpdir()), 'lifeboat-demo-'));
	await cleanup.add(() => rm(root, { recursive: true, force: true }));
	const folders = {
		uploads: join(root, 'uploads'),
		backups: join(root, 'backups'),
		scratch: join(root, 'scratch'),
	};
	for (const folder of Object.values(folders)) await mkdir(folder);
	await createSampleFiles(folders.uploads);
	return folders;
}

/** A database that an ordinary user owns: nothing here needs a superuser. */
export interface Shop {
	server: PostgresServer;
	connection: ClientConfig & { host: string; port: number; user: string; password: string; database: string };
}

/** Starts PostgreSQL and loads the sample shop, or another script. */
export async function openShop(cleanup: Cleanup, sql = join(__dirname, 'shop.sql')): Promise<Shop> {
	const server = await startPostgres();
	await cleanup.add(() => server.stop());
	const owner = { user: 'shopkeeper', password: randomBytes(12).toString('hex') };
	await asAdministrator(server, `CREATE ROLE ${owner.user} LOGIN CREATEDB PASSWORD '${owner.password}'`);
	await asAdministrator(server, `CREATE DATABASE shop OWNER ${owner.user}`);
	const { host, port } = server;
	const database = await loadSql({ host, port, ...owner, database: 'shop' }, sql);
	return { server, connection: { host, port, ...owner, database } };
}

/** What remains after the disaster: a server with an empty database of that name, as on a new machine. */
export async function loseDatabase({ server, connection }: Shop): Promise<void> {
	await asAdministrator(server, `DROP DATABASE ${connection.database} WITH (FORCE)`);
	await asAdministrator(server, `CREATE DATABASE ${connection.database} OWNER ${connection.user}`);
}

async function asAdministrator(server: PostgresServer, statement: string): Promise<void> {
	const client = new Client(server.connection());
	await client.connect();
	try {
		await client.query(statement);
	} finally {
		await client.end();
	}
}

/** Starts n8n with the nodes, allowed to use the demo's folders only. */
export async function openN8n(
	cleanup: Cleanup,
	{ server }: Shop,
	folders: Folders,
	options: Pick<N8nServerOptions, 'onLog' | 'signal'>,
): Promise<N8nServer> {
	const n8n = await startN8n({
		...options,
		postgres: server,
		restrictFileAccessTo: [folders.scratch, folders.uploads, folders.backups],
	});
	await cleanup.add(() => n8n.stop());
	return n8n;
}

export interface Keys {
	credentials: StoredCredential[];
	/** The header that the restore webhook wants. */
	header: Record<string, string>;
	/** Opens the backups. */
	identity: string;
}

/** Gives n8n the credentials that the example workflows ask for. */
export async function createCredentials(
	client: N8nClient,
	{ connection }: Shop,
	s3?: S3Settings,
): Promise<Keys> {
	const { identity, recipient } = await createAgeIdentity();
	const token = randomBytes(18).toString('base64url');
	const { host, port, user, password, database } = connection;
	const credentials = [
		await client.createCredential('Shop database', 'postgres', {
			...{ host, port, user, password, database, ssl: 'disable', sshTunnel: false, maxConnections: 10 },
		}),
		await client.createCredential('Backup key', 'lifeboatEncryptionApi', { recipients: recipient, identity }),
		await client.createCredential('Restore token', 'httpHeaderAuth', {
			name: 'X-Restore-Token',
			value: token,
		}),
	];
	if (s3) {
		const { endpoint, region, accessKeyId, secretAccessKey } = s3;
		credentials.push(
			await client.createCredential('Bucket', 's3', {
				endpoint,
				region,
				accessKeyId,
				secretAccessKey,
				forcePathStyle: true,
			}),
		);
	}
	return { credentials, identity, header: { 'X-Restore-Token': token } };
}
