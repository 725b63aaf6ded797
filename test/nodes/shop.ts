import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';

import { createAgeIdentity } from '../../lib/encryption/encryption';
import { startPostgres, type PostgresServer } from '../servers/postgres';

import { runWorkflow, type WorkflowRun } from './engine';
import { createFiles, createShop, postgresCredential, temporaryFolder } from './fixtures';
import type { RunResult } from './run-result';
import type { Credentials, TestNode } from './test-workflow';

/** What an operator has: a shop's database, its files, keys, and a folder for backups. */
export interface Shop {
	server: PostgresServer;
	/** That the file rules allow. */
	folder: string;
	/** The files of the shop. */
	uploads: string;
	/** Where backups are stored. */
	destination: string;
	keys: { identity: string; recipient: string };
	credentials: Credentials;
	/** Runs a workflow with all of it. */
	run: (nodes: WorkflowRun['nodes'], more?: Partial<WorkflowRun>) => Promise<RunResult>;
	upload: (prefix: string) => TestNode;
	/** A node `download` that gets the newest backup. */
	download: (prefix: string) => TestNode;
	close: () => Promise<void>;
}

/** Backs the database up, as a job of its name. */
export const dump: TestNode = { type: 'dumpDatabase', parameters: { name: 'shop' } };

/** Starts the server and makes the database `shop`, and the files. */
export async function openShop({ orders = 2000 }: { orders?: number } = {}): Promise<Shop> {
	const [server, folder, keys] = await Promise.all([
		startPostgres({ version: 15 }),
		temporaryFolder(),
		createAgeIdentity(),
	]);
	const uploads = join(folder.path, 'uploads');
	const destination = join(folder.path, 'destination');
	await mkdir(destination);
	await createFiles(uploads);
	await createShop(server, 'shop', orders);
	const credentials: Credentials = {
		postgres: postgresCredential(server, 'shop'),
		lifeboatEncryptionApi: {
			...{ recipients: keys.recipient, identity: keys.identity, passphrase: 'correct horse' },
		},
	};
	const place = (prefix: string) => ({ storage: 'local', folder: destination, prefix });
	return {
		...{ server, folder: folder.path, uploads, destination, keys, credentials },
		run: async (nodes, more = {}) =>
			await runWorkflow({ allowedFolders: [folder.path], credentials, nodes, ...more }),
		upload: (prefix) => ({ type: 'upload', parameters: place(prefix) }),
		download: (prefix) => ({
			...{ type: 'upload', name: 'download' },
			parameters: { operation: 'download', ...place(prefix) },
		}),
		async close() {
			await server.stop();
			await folder.remove();
		},
	};
}
