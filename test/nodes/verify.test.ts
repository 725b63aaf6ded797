import assert from 'node:assert/strict';
import { open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import type { INodeExecutionData } from 'n8n-workflow';

import { createAgeIdentity } from '../../lib/encryption/encryption';

import { runWorkflow, type WorkflowRun } from './engine';
import { staged, temporaryFolder } from './fixtures';

describe('Verify Checksum: Passed and Failed', () => {
	let folder: Awaited<ReturnType<typeof temporaryFolder>>;
	let credentials: NonNullable<WorkflowRun['credentials']>;

	before(async () => {
		folder = await temporaryFolder();
		await writeFile(join(folder.path, 'file'), 'content');
		const { identity, recipient } = await createAgeIdentity();
		credentials = { lifeboatEncryptionApi: { recipients: recipient, identity } };
	});
	after(() => folder?.remove());

	const flip = {
		name: 'Flip',
		async run(items: INodeExecutionData[]) {
			const file = await open((items[0]!.json.artifact as { path: string }).path, 'r+');
			const byte = Buffer.alloc(1);
			await file.read(byte, 0, 1, 100);
			// Another one, whichever it was: a fixed one is there already in a few files of a hundred.
			byte[0]! ^= 1;
			await file.write(byte, 0, 1, 100);
			await file.close();
			return items;
		},
	};
	const pass = { name: 'Good', run: (items: INodeExecutionData[]) => items };
	const alert = { name: 'Alert', run: (items: INodeExecutionData[]) => items };
	const to = (node: string) => [{ node, type: 'main' as const, index: 0 }];

	/** Archive, encrypt, perhaps damage, verify; then one branch for each output, as far as wanted. */
	async function run(
		damage: boolean,
		verify: Partial<Extract<WorkflowRun['nodes'][number], { type: string }>> = {},
		branches: string[] = ['Good', 'Alert'],
	) {
		const before = ['archiveFiles', 'encrypt', ...(damage ? ['Flip'] : []), 'verifyChecksum'];
		return await runWorkflow({
			allowedFolders: [folder.path],
			credentials,
			nodes: [
				{ type: 'archiveFiles', parameters: { name: 'files', paths: [join(folder.path, 'file')] } },
				{ type: 'encrypt' },
				...(damage ? [flip] : []),
				{ type: 'verifyChecksum', parameters: { level: 'complete' }, ...verify },
				pass,
				alert,
			],
			connections: {
				...Object.fromEntries(
					['Start', ...before].slice(0, -1).map((name, index) => [name, { main: [to(before[index]!)] }]),
				),
				verifyChecksum: { main: branches.map((name) => (name === '' ? [] : to(name))) },
			},
		});
	}

	test('a whole backup goes on through Passed, unchanged', async () => {
		const result = (await run(false)).assertSuccess();
		const [json] = result.json('Good') as [Record<string, { level?: string }>];
		assert.deepEqual(Object.keys(json).sort(), ['artifact', 'manifest', 'verification']);
		assert.equal(json.verification!.level, 'complete');
		assert.equal(result.ran('Alert'), false);
	});

	test('a damaged one comes out of Failed as an alert, not as a backup', async () => {
		const result = (await run(true)).assertSuccess();
		assert.equal(result.ran('Good'), false);
		const [json] = result.json('Alert');
		assert.match(json!.error as string, /files-.* is damaged/);
		assert.match(json!.details as string, /another destination/);
		assert.deepEqual([json!.code, json!.level, json!.artifact], ['CHECKSUM_MISMATCH', 'stored', undefined]);
		assert.equal((json!.backup as { name: string }).name, 'files');
		assert.deepEqual(await staged(folder.path), []);
	});

	test('with nothing connected to Failed a damaged one stops the workflow', async () => {
		for (const branches of [['Good'], ['Good', '']]) {
			const result = await run(true, {}, branches);
			assert.equal(result.status, 'error');
			assert.match(result.error!.message, /is damaged/);
			assert.match(result.error!.description ?? '', /another destination/);
		}
	});

	test('what keeps it from being looked at is an error, and never comes out of Passed', async () => {
		const none = { credentials: { lifeboatEncryptionApi: { recipients: '' } } };
		const stopped = await run(false, none);
		assert.equal(stopped.status, 'error');
		assert.match(stopped.error!.message, /encrypted/);
		const regular = (await run(false, { ...none, onError: 'continueRegularOutput' })).assertSuccess();
		assert.equal(regular.ran('Good'), false);
		assert.match(regular.json('Alert')[0]!.error as string, /encrypted/);
		const third = { ...none, onError: 'continueErrorOutput' as const };
		const separate = (await run(false, third, ['Good', '', 'Alert'])).assertSuccess();
		assert.equal(separate.ran('Good'), false);
		assert.match(separate.json('Alert')[0]!.error as string, /encrypted/);
		// A verdict stays where it belongs, also beside an output for errors.
		const verdict = (await run(true, { onError: 'continueErrorOutput' }, ['Good', 'Alert'])).assertSuccess();
		assert.equal(verdict.json('Alert')[0]!.code, 'CHECKSUM_MISMATCH');
	});

	test('a checksum file is made and compared with, in every format', async () => {
		for (const algorithm of ['sha256', 'sha512', 'blake2b', 'md5']) {
			const create = { operation: 'create', algorithm, binaryPropertyOutput: 'sum' };
			const nodes = (damage: (text: string) => string): WorkflowRun['nodes'] => [
				{ type: 'archiveFiles', parameters: { name: 'files', paths: [join(folder.path, 'file')] } },
				{ type: 'verifyChecksum', name: 'create', parameters: create },
				{
					name: 'Change',
					async run(items, context) {
						const text = (await context.helpers.getBinaryDataBuffer(0, 'sum')).toString();
						const sum = await context.helpers.prepareBinaryData(Buffer.from(damage(text)), 'sum');
						return [{ ...items[0]!, binary: { sum } }];
					},
				},
				{ type: 'verifyChecksum', parameters: { checksumField: 'sum' } },
			];
			const start = { allowedFolders: [folder.path], credentials };
			const good = await runWorkflow({ ...start, nodes: nodes((text) => text) });
			const [json] = good.assertSuccess().json('verifyChecksum') as [{ verification: { proved: string[] } }];
			assert.match(json.verification.proved.at(-1)!, /of the checksum file/);
			const swap = (text: string) => text.replace(/^./, (digit) => (digit === '0' ? '1' : '0'));
			const bad = await runWorkflow({ ...start, nodes: nodes(swap) });
			assert.match(bad.error!.message, /is not the one in the checksum file/);
		}
		const wrong = await runWorkflow({
			...{ allowedFolders: [folder.path], credentials },
			nodes: [
				{ type: 'archiveFiles', parameters: { name: 'files', paths: [join(folder.path, 'file')] } },
				{ type: 'verifyChecksum', parameters: { checksumField: 'nothing' } },
			],
		});
		assert.equal(wrong.status, 'error');
	});
});
