import assert from 'node:assert/strict';
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import type { INodeExecutionData } from 'n8n-workflow';

import { adjust, readWorkflow } from '../../demo/workflow-files';
import { createAgeIdentity } from '../../lib/encryption/encryption';
import { startPostgres, type PostgresServer } from '../servers/postgres';

import { runWorkflow, type WorkflowRun } from './engine';
import { createFiles, createShop, postgresCredential, staged, temporaryFolder } from './fixtures';

describe('the example workflow weekly-restore-test', () => {
	let server: PostgresServer;
	let folder: Awaited<ReturnType<typeof temporaryFolder>>;
	let destination: string;
	let credentials: NonNullable<WorkflowRun['credentials']>;

	before(async () => {
		[server, folder] = await Promise.all([startPostgres({ version: 15 }), temporaryFolder()]);
		destination = join(folder.path, 'destination');
		await mkdir(destination);
		await createFiles(join(folder.path, 'uploads'));
		await createShop(server, 'shop');
		const { identity, recipient } = await createAgeIdentity();
		credentials = {
			postgres: postgresCredential(server, 'shop'),
			lifeboatEncryptionApi: { recipients: recipient, identity },
		};
		const bundle = { operation: 'bundle', name: 'shop', paths: [join(folder.path, 'uploads')] };
		const place = { storage: 'local', folder: destination, prefix: 'shop' };
		const backup = await runWorkflow({
			allowedFolders: [folder.path],
			credentials,
			nodes: [
				{ type: 'dumpDatabase', parameters: { name: 'shop' } },
				{ type: 'archiveFiles', parameters: bundle },
				{ type: 'encrypt' },
				{ type: 'upload', parameters: place },
			],
		});
		backup.assertSuccess();
	});
	after(async () => {
		await server?.stop();
		await folder?.remove();
	});

	/** The workflow as it is published, n8n's own nodes replaced by ones that pass on what they get. */
	async function run(sql?: string) {
		const place = { storage: 'local', folder: destination } as const;
		const published = await readWorkflow('weekly-restore-test');
		const workflow = adjust(published, {
			...{ uploads: '', storage: place, credentials: [] },
			...(sql ? { parameters: { 'Restore Test': { sqlChecks: { check: [{ name: 'Orders', sql }] } } } } : {}),
		});
		const own = 'n8n-nodes-lifeboat.';
		const steps = workflow.nodes.filter(({ type }) => !/stickyNote|scheduleTrigger/.test(type));
		const { 'Every Sunday at four': start = {}, ...rest } = workflow.connections;
		return await runWorkflow({
			allowedFolders: [folder.path],
			credentials,
			nodes: steps.map(({ name, type, parameters }) =>
				type.startsWith(own)
					? { name, type: type.slice(own.length), parameters }
					: { name, run: (items: INodeExecutionData[]) => items },
			),
			connections: { ...rest, Start: start },
		});
	}
	const stored = async (suffix: string) => {
		const names = await readdir(join(destination, 'shop'));
		return join(
			destination,
			'shop',
			names.find((name) => name.endsWith(suffix))!,
		);
	};

	test('reports what was restored, and leaves the proof beside it', async () => {
		const result = (await run()).assertSuccess();
		assert.equal(result.ran('Raise Alarm'), false);
		const [json] = result.json('Report') as [
			{ verification: { result: string; checks: { name: string }[] } },
		];
		assert.equal(json.verification.result, 'passed');
		assert.ok(json.verification.checks.some(({ name }) => name.endsWith(': Orders')));
		const proof = JSON.parse(await readFile(await stored('.proof.json'), 'utf8')) as { passed: boolean };
		assert.equal(proof.passed, true);
		assert.deepEqual(await staged(folder.path), []);
	});

	test('raises the alarm for a backup in which what must be true is not', async () => {
		const result = (await run('SELECT count(*) > 1000000 FROM orders')).assertSuccess();
		assert.equal(result.ran('Report'), false);
		const [json] = result.json('Raise Alarm') as [{ error: string; details: string }];
		assert.match(json.error, /Orders: it is f/);
		assert.match(json.details, /Keep older backups/);
		const proof = JSON.parse(await readFile(await stored('.proof.json'), 'utf8')) as { passed: boolean };
		assert.equal(proof.passed, false);
	});
});
