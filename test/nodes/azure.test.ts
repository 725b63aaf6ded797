import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { startAzurite, type AzureServerSettings, type AzuriteServer } from '../servers/azurite';

import { runWorkflow, type WorkflowRun } from './engine';
import { createFiles, describeFiles, staged, temporaryFolder } from './fixtures';

describe('an Azure container as destination, through the nodes', () => {
	let azurite: AzuriteServer;
	let settings: AzureServerSettings;
	let folder: Awaited<ReturnType<typeof temporaryFolder>>;

	before(async () => {
		[azurite, folder] = await Promise.all([startAzurite(), temporaryFolder()]);
		settings = await azurite.container();
		await createFiles(folder.path);
	});
	after(async () => {
		await Promise.all([azurite?.stop(), folder?.remove()]);
	});

	const run = async (nodes: WorkflowRun['nodes'], change: object = {}) =>
		await runWorkflow({
			allowedFolders: [folder.path],
			credentials: {
				azureStorageSharedKeyApi: {
					...{ account: settings.account, key: settings.key },
					...{ environment: 'custom', customEndpoint: settings.endpoint, ...change },
				},
			},
			nodes,
		});
	const at = (more: object = {}) => ({
		...{ storage: 'azure', container: settings.container, prefix: 'nightly', ...more },
	});
	const archive = () => ({
		type: 'archiveFiles',
		parameters: { operation: 'files', paths: join(folder.path, 'a'), name: 'files' },
	});

	test('up, listed, down', async () => {
		(await run([archive(), { type: 'upload', parameters: at() }])).assertSuccess();
		const list = { type: 'upload', parameters: at({ operation: 'list', endpoint: settings.endpoint }) };
		const listed = (await run([list], { customEndpoint: 'https://nowhere.invalid' }))
			.assertSuccess()
			.json('upload');
		assert.equal(listed.length, 1);
		const target = join(folder.path, 'restored');
		const download = { type: 'upload', name: 'download', parameters: at({ operation: 'download' }) };
		const restore = { type: 'restore', parameters: { operation: 'files', targetFolder: target } };
		(await run([download, restore])).assertSuccess();
		assert.ok((await describeFiles(target)).length > 0);
		assert.deepEqual(await staged(folder.path), []);
	});

	test('a wrong key fails with words, and without the key', async () => {
		const key = Buffer.from('not the key').toString('base64');
		const result = await run([archive(), { type: 'upload', parameters: at({ prefix: 'x' }) }], { key });
		assert.equal(result.status, 'error');
		assert.match(result.error!.message, /Azure|container|account key|allow/);
		assert.ok(!result.error!.text.includes(key));
	});
});
