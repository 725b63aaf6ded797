import assert from 'node:assert/strict';
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';

import { localStorage } from '../../lib/storage/local/local-storage';
import { pinKey } from '../../lib/storage/backups';
import { putBackup } from '../lib/retention/stored-backups';

import { runWorkflow } from './engine';
import { temporaryFolder } from './fixtures';
import type { TestNode } from './test-workflow';

const DAY = 86_400_000;

describe('Apply Retention, through the real engine', () => {
	let folder: Awaited<ReturnType<typeof temporaryFolder>>;
	let destination: string;

	before(async () => {
		folder = await temporaryFolder();
	});

	after(async () => {
		await folder?.remove();
	});

	beforeEach(async () => {
		destination = join(folder.path, 'destination');
		await rm(destination, { recursive: true, force: true });
		await mkdir(destination);
		for (const days of [0, 1, 2, 3]) await put(days);
	});

	const put = async (days: number, key = `shop-${days}.tar`) => {
		const createdAt = new Date(Date.now() - days * DAY - 60_000).toISOString();
		await putBackup(localStorage({ folder: destination }), key, createdAt);
	};

	const run = async (
		parameters: Record<string, unknown>,
		{ input, ...more }: Partial<TestNode> & { input?: Array<Record<string, string>> } = {},
	) => {
		const common = { storage: 'local', folder: destination };
		return await runWorkflow({
			allowedFolders: [folder.path],
			nodes: [{ type: 'applyRetention', parameters: { ...common, ...parameters }, ...more }],
			...(input && { input: input.map((json) => ({ json })) }),
		});
	};

	const keepLast = (count: number, more: object = {}) => ({
		...{ mode: 'delete', policy: 'custom', rules: { keepLast: count }, ...more },
	});

	test('List tells age, gaps, sizes, pins and what is not complete', async () => {
		await put(7);
		await writeFile(join(destination, 'shop-1.tar'), '');
		const listed = (await run({ operation: 'list', options: { expectedEvery: '25h' } }))
			.assertSuccess()
			.json('applyRetention');
		assert.deepEqual(
			listed.map(({ key, complete }) => [key, complete]),
			[
				['shop-0.tar', true],
				['shop-1.tar', false],
				['shop-2.tar', true],
				['shop-3.tar', true],
				['shop-7.tar', true],
			],
		);
		assert.match(listed[1]?.problem as string, /0 bytes/);
		assert.equal(listed[0]?.ageHours, 0);
		assert.deepEqual(Object.keys(listed[0]?.gapBefore as object), ['from', 'to', 'hours', 'missed']);
		assert.equal((listed[3]?.gapBefore as { hours: number }).hours, 96);
		assert.equal(listed[0]?.sizeChangePercent, 0);
		const jobs = await run({ operation: 'list', return: 'jobs', options: { expectedEvery: '25h' } });
		const [job, ...others] = jobs.assertSuccess().json('applyRetention');
		assert.deepEqual(others, []);
		assert.deepEqual(
			[job?.name, job?.backups, job?.complete, (job?.gaps as unknown[]).length],
			['shop', 5, 4, 2],
		);
	});

	test('List warns of backups that have stopped', async () => {
		for (const days of [0, 1]) await rm(join(destination, `shop-${days}.tar`));
		const result = await run({ operation: 'list', options: { expectedEvery: '25h' } });
		assert.match(
			result.node('applyRetention').hints[0]?.message ?? '',
			/newest complete backup is 2 days old/,
		);
	});

	test('Pin keeps each incoming backup, Unpin lets it go', async () => {
		const pinned = (
			await run(
				{ operation: 'pin', reason: 'before version 4' },
				{ input: [{ key: 'shop-3.tar' }, { key: 'shop-2.tar' }] },
			)
		)
			.assertSuccess()
			.json('applyRetention');
		assert.deepEqual(
			pinned.map(({ key, pinned: is, reason }) => [key, is, reason]),
			[
				['shop-3.tar', true, 'before version 4'],
				['shop-2.tar', true, 'before version 4'],
			],
		);
		const kept = (await run(keepLast(1))).assertSuccess().json('applyRetention');
		assert.deepEqual(
			kept.filter(({ deleted }) => deleted).map(({ key }) => key),
			['shop-1.tar'],
		);
		const listed = (await run({ operation: 'list' })).json('applyRetention');
		assert.equal(listed.find(({ key }) => key === 'shop-3.tar')?.pinReason, 'before version 4');

		const freed = (await run({ operation: 'unpin', key: 'shop-3.tar' })).json('applyRetention');
		assert.deepEqual(freed, [{ key: 'shop-3.tar', pinned: false, wasPinned: true }]);
		(await run(keepLast(1))).assertSuccess();
		assert.deepEqual((await readdir(destination)).sort(), [
			...['shop-0.tar', 'shop-0.tar.manifest.json', 'shop-0.tar.sha256'],
			...['shop-2.tar', 'shop-2.tar.manifest.json', pinKey('shop-2.tar'), 'shop-2.tar.sha256'],
		]);
	});

	test('a key with a slip in it is no success', async () => {
		for (const operation of ['pin', 'unpin']) {
			const result = await run({ operation, key: 'shop-9.tar' });
			assert.match(result.error?.message ?? '', /There is no backup shop-9.tar/);
		}
		const empty = await run({ operation: 'pin' });
		assert.match(empty.error?.message ?? '', /Key is empty/);
	});
});
