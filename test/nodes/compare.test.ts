import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import type { INodeExecutionData } from 'n8n-workflow';

import { startPostgres, type PostgresServer } from '../servers/postgres';

import { runWorkflow, type WorkflowRun } from './engine';
import { createShop, postgresCredential, sql, temporaryFolder } from './fixtures';

describe('Compare With Earlier', () => {
	let server: PostgresServer;
	let folder: Awaited<ReturnType<typeof temporaryFolder>>;
	let destination: string;

	before(async () => {
		[server, folder] = await Promise.all([startPostgres({ version: 15 }), temporaryFolder()]);
		destination = join(folder.path, 'destination');
		await mkdir(destination);
		await createShop(server, 'shop');
	});
	after(async () => {
		await server?.stop();
		await folder?.remove();
	});

	const place = () => ({ storage: 'local', folder: destination, prefix: 'shop' });
	const to = (node: string) => [{ node, type: 'main' as const, index: 0 }];
	const same = (items: INodeExecutionData[]) => items;

	/** Dump, compare, and Upload of what passes; an alert for what doesn't. */
	async function run(parameters: Record<string, unknown> = {}) {
		const nodes: WorkflowRun['nodes'] = [
			{ type: 'dumpDatabase', parameters: { name: 'shop' } },
			{ type: 'verifyChecksum', parameters: { operation: 'compare', ...place(), ...parameters } },
			{ type: 'upload', parameters: { ...place(), ifExists: 'replace' } },
			{ name: 'Alert', run: same },
		];
		const result = await runWorkflow({
			allowedFolders: [folder.path],
			credentials: { postgres: postgresCredential(server, 'shop') },
			nodes,
			connections: {
				Start: { main: [to('dumpDatabase')] },
				dumpDatabase: { main: [to('verifyChecksum')] },
				verifyChecksum: { main: [to('upload'), to('Alert')] },
			},
		});
		// File names tell seconds.
		await new Promise((resolve) => setTimeout(resolve, 1001));
		return result.assertSuccess();
	}

	test('an emptied table sounds the alarm before the backup is stored, or only warns', async () => {
		for (const comparedWith of [0, 0, 2]) {
			const [json] = (await run()).json('verifyChecksum') as [{ comparison: unknown }];
			assert.deepEqual(json.comparison, { comparedWith, suspicions: [] });
		}
		await sql(server, 'shop', 'DELETE FROM orders WHERE id > 900');
		const alarm = await run();
		assert.equal(alarm.ran('upload'), false);
		const [alert] = alarm.json('Alert') as [{ error: string; code: string; suspicions: { what: string }[] }];
		assert.equal(alert.code, 'SUSPICIOUS_CHANGE');
		assert.match(alert.error, /rows of public\.orders is 900, 55 % below the usual 2000/);
		const warning = await run({ ifSuspicious: 'warn' });
		assert.equal(warning.ran('upload'), true);
		assert.match(warning.node('verifyChecksum').hints[0]!.message, /55 % below/);
		assert.equal((await run({ allowedFall: 60 })).ran('upload'), true);
	});
});
