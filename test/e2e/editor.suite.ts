import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import type { INode } from 'n8n-workflow';
import type { Page } from 'playwright-core';

import { exampleWorkflows, readWorkflow } from '../../demo/workflow-files';
import { N8nClient } from '../servers/n8n-client';

import { openBrowser, type Editor } from './browser';
import { itemsOf, type Stage } from './stage';

/** What the editor shows of each node: its name, an operation to pick, and fields of its panel. */
const nodes = [
	['Dump Database', 'Dump database', ['Database', 'Backup Name', 'Compression', 'Hand Over As']],
	['Archive Files', 'Archive files', ['Backup Name', 'Paths', 'Compression']],
	['Encrypt', 'Encrypt backup', ['Encrypt For', 'Hand Over As']],
	['Verify Checksum', 'Verify backup', ['Operation', 'Level']],
	['Upload', 'Upload backup', ['Storage', 'Folder', 'Prefix', 'If Backup Exists']],
	['Apply Retention', 'Apply retention', ['Storage', 'Mode', 'Policy']],
	['Restore', 'Restore database', ['Target Database', 'If Target Is Not Empty']],
] as const;

const manualTrigger: INode = {
	...{ id: 'trigger', name: 'When clicking', type: 'n8n-nodes-base.manualTrigger', typeVersion: 1 },
	...{ position: [0, 0], parameters: {} },
};

/** Registers the tests of the nodes in n8n's editor. */
export function editorTests(stage: () => Stage): void {
	describe('in the editor', () => {
		let editor: Editor;
		let page: Page;
		let emptyWorkflow: string;

		before(async () => {
			editor = await openBrowser();
			({ page } = editor);
			await page.goto(`${stage().n8n.url}/signin`);
			await page.locator('input[type=email]').fill(N8nClient.owner.email);
			await page.locator('input[type=password]').fill(N8nClient.owner.password);
			await page.keyboard.press('Enter');
			await page.waitForURL(/\/(home|workflow)/);
		});
		after(async () => {
			await editor.close();
		});

		const testId = (id: string) => page.locator(`[data-test-id="${id}"]`);
		const canvasNode = (name: string) =>
			page.locator(`[data-test-id="canvas-node"][data-node-name="${name}"]`);

		const openCreator = async (search: string) => {
			await testId('node-creator-plus-button').first().click();
			await testId('node-creator-search-bar').fill(search);
		};
		const offered = (name: string) =>
			testId('item-iterator-item').filter({ has: page.getByText(name, { exact: true }) });

		test('a search for "backup" finds all of the nodes', async () => {
			const { n8n, client } = stage();
			const empty = await client.createWorkflow({ name: 'Empty', nodes: [manualTrigger], connections: {} });
			emptyWorkflow = `${n8n.url}/workflow/${empty.id}`;
			await page.goto(emptyWorkflow);
			await openCreator('backup');
			for (const name of [...nodes.map(([each]) => each), 'Backup Watch Trigger'])
				await offered(name).waitFor();
			await editor.screenshot('creator-backup');
		});

		for (const [name, action, fields] of nodes) {
			test(`${name} is found, and its panel opens`, async () => {
				await page.goto(emptyWorkflow);
				await openCreator(name);
				await offered(name).click();
				await offered(action).click();
				for (const field of fields) {
					await testId('ndv').getByText(field, { exact: true }).first().waitFor();
				}
				await editor.screenshot(`panel-${name.toLowerCase().replaceAll(' ', '-')}`);
			});
		}

		test('n8n knows every node of the example workflows, in the version that they name', async () => {
			const types = await stage().client.nodeTypes();
			const known = new Set(
				types.flatMap(({ name, version }) => [version].flat().map((each) => `${name} ${each}`)),
			);
			for (const file of exampleWorkflows) {
				const { nodes: used } = await readWorkflow(file);
				const unknown = used
					.map(({ type, typeVersion }) => `${type} ${typeVersion}`)
					.filter((each) => !known.has(each));
				assert.deepEqual(unknown, [], file);
			}
		});

		for (const file of [
			...(['nightly-backup', 'restore-on-webhook', 'back-up-and-prove'] as const),
			...(['watch-and-alert', 'weekly-restore-test', 'three-copies'] as const),
		]) {
			test(`${file}.json is imported from the file, as it is published`, async () => {
				const { nodes: expected } = await readWorkflow(file);
				await page.goto(`${stage().n8n.url}/workflow/new`);
				await testId('canvas-add-button').waitFor();
				await testId('workflow-import-input').setInputFiles(`workflows/${file}.json`);
				for (const { name, type } of expected) {
					if (type !== 'n8n-nodes-base.stickyNote') await canvasNode(name).waitFor();
				}
				// A node of a type that n8n doesn't know is drawn with a question mark.
				assert.equal(
					await page.locator('[data-test-id="canvas-node"] [data-icon="node-unknown"]').count(),
					0,
				);
				await testId('zoom-to-fit').click();
				await page.waitForTimeout(500);
				await editor.screenshot(`workflow-${file}`);
			});
		}

		test('the credential of the encryption key tests what is filled in', async () => {
			await page.goto(`${stage().n8n.url}/home/credentials`);
			await page.getByText('Backup key', { exact: true }).first().click();
			await testId('credentials-config-container-test-success').waitFor();
			await page.getByText('Age Recipients', { exact: true }).waitFor();
			await editor.screenshot('credential-encryption-key');
		});

		test('a backup is made and proven by a click', async () => {
			const { client, n8n } = stage();
			const workflow = await stage().load('back-up-and-prove');
			await page.goto(`${n8n.url}/workflow/${workflow.id}`);
			await canvasNode('Report').waitFor();
			await testId('zoom-to-fit').click();
			await testId('execute-workflow-button').click();
			await page.getByText('Workflow executed successfully').first().waitFor({ timeout: 120_000 });
			await editor.screenshot('backup-by-a-click');
			const execution = await client.finished(await client.started(workflow.id));
			assert.equal(execution.mode, 'manual');
			assert.match(itemsOf(execution, 'Report')[0]?.proof as string, /restored 24\d{4} rows in 5 tables/);

			await canvasNode('Upload').dblclick();
			await testId('ndv').getByText('stored', { exact: true }).first().waitFor();
			await editor.screenshot('panel-with-result');
		});

		test('a stored backup is chosen from the list of a folder', async () => {
			const { client, n8n, folders } = stage();
			const choose: INode = {
				...{
					id: 'choose',
					name: 'Choose',
					type: 'n8n-nodes-lifeboat.upload',
					typeVersion: 1,
					position: [0, 0],
				},
				parameters: { operation: 'delete', storage: 'local', folder: folders.backups },
			};
			const workflow = await client.createWorkflow({ name: 'Choose', nodes: [choose], connections: {} });
			await page.goto(`${n8n.url}/workflow/${workflow.id}/choose`);
			await testId('resource-locator-key').locator('input').last().click();
			await page
				.getByText(/^shop-before-update \(database\), .* encrypted/)
				.first()
				.waitFor();
			await editor.screenshot('choose-stored-backup');
		});

		test("none of the pages' scripts failed", () => {
			assert.deepEqual(editor.pageErrors, []);
		});
	});
}
