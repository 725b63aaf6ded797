import assert from 'node:assert/strict';
import { access } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { describe, test } from 'node:test';

import { NodeOperationError } from 'n8n-workflow';

import { readBinary, runWorkflow, storagePath } from './engine';
import { userFolder } from './engine-environment';

describe('the in-process engine', () => {
	test('passes items along a chain', async () => {
		const result = await runWorkflow({
			input: [{ json: { n: 1 } }, { json: { n: 2 } }],
			nodes: [
				{ name: 'Double', run: (items) => items.map(({ json }) => ({ json: { n: 2 * Number(json.n) } })) },
			],
		});
		assert.deepEqual(result.assertSuccess().json('Double'), [{ n: 2 }, { n: 4 }]);
	});

	test('reports the error of a node with its description and item', async () => {
		const result = await runWorkflow({
			nodes: [
				{
					name: 'Fail',
					run: (_items, context) => {
						throw new NodeOperationError(context.getNode(), 'It broke', {
							description: 'Mend it',
							itemIndex: 3,
						});
					},
				},
				{ name: 'After', run: (items) => items },
			],
		});
		assert.equal(result.status, 'error');
		const { message, description, itemIndex, name } = result.error!;
		assert.deepEqual(
			{ message, description, itemIndex, name },
			{ message: 'It broke', description: 'Mend it', itemIndex: 3, name: 'NodeOperationError' },
		);
		assert.equal(result.ran('After'), false);
		assert.throws(() => result.assertSuccess(), /error: It broke Mend it/);
	});

	test('runs finish handlers after success, failure and cancellation', async () => {
		for (const end of ['success', 'error', 'canceled'] as const) {
			const stop = new AbortController();
			let finished = 0;
			const result = await runWorkflow({
				signal: stop.signal,
				nodes: [
					{
						name: 'End',
						async run(items, context) {
							context.onExecutionFinish!(async () => void finished++);
							if (end === 'error') throw new Error('no');
							if (end === 'canceled') {
								const aborted = new Promise((resolve) =>
									context.onExecutionCancellation(() => resolve(undefined)),
								);
								stop.abort();
								await aborted;
							}
							return items;
						},
					},
				],
			});
			assert.equal(result.status, end);
			assert.ok(finished > 0, end);
		}
	});

	test('keeps an execution that waits, and resumes it', async () => {
		let finished = 0;
		const result = await runWorkflow({
			nodes: [
				{
					name: 'Wait',
					async run(items, context) {
						context.onExecutionFinish!(async () => void finished++);
						await context.putExecutionToWait(new Date(Date.now() + 3_600_000));
						return items;
					},
				},
				{ name: 'After', run: () => [{ json: { after: true } }] },
			],
		});
		assert.equal(result.status, 'waiting');
		assert.equal(finished, 0);
		assert.equal(result.ran('After'), false);
		const resumed = await result.resume();
		assert.deepEqual(resumed.assertSuccess().json('After'), [{ after: true }]);
	});

	test('applies the file access rules that are asked for', async () => {
		const blocked = async (allowedFolders: string[] | undefined, path: string) => {
			const result = await runWorkflow({
				...(allowedFolders && { allowedFolders }),
				nodes: [
					{
						name: 'Ask',
						run: async (_items, { helpers }) => [
							{ json: { blocked: helpers.isFilePathBlocked(await helpers.resolvePath(path)) } },
						],
					},
				],
			});
			return result.json('Ask')[0]!.blocked;
		};
		assert.equal(await blocked(['/usr'], '/usr/bin'), false);
		assert.equal(await blocked(['/usr'], '/etc'), true);
		assert.equal(await blocked(undefined, '/usr'), true);
		assert.equal(await blocked(undefined, join(homedir(), '.n8n-files')), false);
	});

	for (const binaryDataMode of ['filesystem', 'default'] as const) {
		test(`passes binary data, mode ${binaryDataMode}`, async () => {
			const result = await runWorkflow({
				binaryDataMode,
				nodes: [
					{
						name: 'Make',
						run: async (_items, { helpers }) => [
							{
								json: {},
								binary: {
									data: await helpers.prepareBinaryData(Readable.from([Buffer.from('héllo')]), 'a.txt'),
								},
							},
						],
					},
					{
						name: 'Read',
						run: async (_items, { helpers }) => [
							{
								json: {
									id: helpers.assertBinaryData(0, 'data').id ?? null,
									text: String(await helpers.getBinaryDataBuffer(0, 'data')),
								},
							},
						],
					},
				],
			});
			const [{ id, text }] = result.assertSuccess().json('Read') as [{ id: string | null; text: string }];
			assert.equal(text, 'héllo');
			assert.equal(id !== null, binaryDataMode === 'filesystem');
			assert.equal(String(await readBinary(result.node('Make').items[0]!.binary!.data!)), 'héllo');
		});
	}

	test('collects hints and messages to the editor', async () => {
		const result = await runWorkflow({
			nodes: [
				{
					name: 'Talk',
					run(items, context) {
						context.addExecutionHints({ message: 'mind the gap', type: 'warning' });
						context.sendMessageToUI('half way');
						return items;
					},
				},
			],
		});
		assert.equal(result.node('Talk').hints[0]!.message, 'mind the gap');
		assert.match(JSON.stringify(result.messages), /half way/);
	});

	test('waits for both inputs of a node that joins', async () => {
		const to = (node: string, index = 0) => ({ node, type: 'main' as const, index });
		const result = await runWorkflow({
			nodes: [
				{ name: 'A', run: () => [{ json: { from: 'A' } }] },
				{ name: 'B', run: () => [{ json: { from: 'B' } }] },
				{ name: 'Join', inputs: 2, run: (items) => items },
			],
			connections: {
				Start: { main: [[to('A'), to('B')]] },
				A: { main: [[to('Join', 0)]] },
				B: { main: [[to('Join', 1)]] },
			},
		});
		assert.deepEqual(result.assertSuccess().json('Join'), [{ from: 'A' }, { from: 'B' }]);
	});

	test('lives in a folder of its own', async () => {
		await access(join(userFolder, '.n8n'));
		assert.equal(storagePath('encrypt'), join(userFolder, '.n8n/storage/n8n-nodes-lifeboat.encrypt'));
	});
});
