import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { startPostgres, type PostgresServer } from '../servers/postgres';

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
import type { RunResult } from './run-result';
import type { Credentials, TestNode } from './test-workflow';

/** A server that backups are stored on, and how a workflow gets there. */
export interface Destination<Server> {
	/** Such as `an FTP server`. */
	name: string;
	start: () => Promise<Server>;
	/** n8n's own type, and what a credential of it holds. */
	credentialType: string;
	credential: (server: Server) => Credentials[string];
	/** What the nodes need to be told besides the prefix. */
	parameters: (server: Server) => object;
	/** The names of all that lies under a prefix, be it whole or not. */
	stored: (server: Server, prefix: string) => Promise<string[]>;
	/** What may be wrong in the credential or the parameters, and what the operator then reads. */
	mistakes: (server: Server) => Array<[credential: object, parameters: object, message: RegExp]>;
}

type Nodes = WorkflowRun['nodes'];

/** What further tests of a destination may use. */
export interface DestinationUnderTest<Server> {
	readonly server: Server;
	/** That the file rules allow. */
	readonly folder: string;
	/** Runs a workflow with the credentials of the destination, changed at will, and of a database `shop`. */
	run: (nodes: Nodes, change?: object, more?: Partial<WorkflowRun>) => Promise<RunResult>;
	dump: TestNode;
	upload: (prefix: string, more?: object) => TestNode;
	download: (prefix: string) => TestNode;
	/** Parameters of a node that is to use a prefix there. */
	at: (prefix: string, more?: object) => Record<string, unknown>;
	stored: (prefix: string) => Promise<string[]>;
}

/** Registers the tests that every destination must pass through the nodes, and further ones. */
export function testDestination<Server extends { stop(): Promise<void> }>(
	destination: Destination<Server>,
	registerMore: (under: DestinationUnderTest<Server>) => void = () => {},
): void {
	describe(`${destination.name} as destination, through the nodes`, () => {
		let postgres: PostgresServer;
		let server: Server;
		let folder: Awaited<ReturnType<typeof temporaryFolder>>;

		before(async () => {
			[postgres, server, folder] = await Promise.all([
				startPostgres({ version: 15 }),
				destination.start(),
				temporaryFolder(),
			]);
			await createShop(postgres, 'shop');
		});

		after(async () => {
			await Promise.all([postgres?.stop(), server?.stop(), folder?.remove()]);
		});

		const run = async (nodes: Nodes, change: object = {}, more: Partial<WorkflowRun> = {}) =>
			await runWorkflow({
				allowedFolders: [folder.path],
				credentials: {
					postgres: postgresCredential(postgres, 'shop'),
					[destination.credentialType]: { ...destination.credential(server), ...change },
				},
				nodes,
				...more,
			});

		const dump = { type: 'dumpDatabase', parameters: { name: 'shop' } };
		const at = (prefix: string, more: object = {}) => ({
			...destination.parameters(server),
			...{ prefix, ...more },
		});
		const upload = (prefix: string, more: object = {}) => ({ type: 'upload', parameters: at(prefix, more) });
		const download = (prefix: string) => ({
			...{ type: 'upload', name: 'download' },
			parameters: at(prefix, { operation: 'download' }),
		});
		const stored = async (prefix: string) => await destination.stored(server, prefix);

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
			const restore = { type: 'restore', parameters: { targetDatabase: 'again' } };
			(await run([download('nightly'), restore])).assertSuccess();
			assert.equal(await describeDatabase(postgres, 'again'), await describeDatabase(postgres, 'shop'));
			assert.deepEqual(await staged(folder.path), []);
		});

		test('what is wrong is told, without a secret, and nothing is stored', async () => {
			for (const [change, parameters, message] of destination.mistakes(server)) {
				const { status, error } = await run([dump, upload('x', parameters)], change);
				assert.equal(status, 'error');
				assert.match(error!.message, message);
				assert.ok(error!.description);
				assert.doesNotMatch(`${error!.message} ${error!.description}`, /ECONN|undefined/);
				for (const secret of secretsOf(destination.credential(server), change)) {
					assert.ok(!error!.text.includes(secret), error!.message);
				}
				assert.deepEqual(await stored('x'), []);
				assert.deepEqual(await staged(folder.path), []);
			}
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
						if (name === 'upload') setTimeout(() => stop.abort(), 30);
					},
				},
			);
			assert.equal(result.status, 'canceled');
			assert.deepEqual(await stagedInTheEnd(folder.path), []);
			assert.deepEqual(await stored('cancelled'), []);
		});

		registerMore({
			get server() {
				return server;
			},
			get folder() {
				return folder.path;
			},
			...{ run, dump, upload, download, at, stored },
		});
	});
}

/** What of credentials no message may hold. */
function secretsOf(...credentials: object[]): string[] {
	return credentials
		.flatMap((each) => Object.entries(each))
		.filter(([name, value]) => /password|secret|privateKey/i.test(name) && value !== '')
		.map(([, value]) => String(value));
}
