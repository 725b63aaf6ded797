import assert from 'node:assert/strict';
import { mkdir, readdir, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';

import { ListObjectVersionsCommand } from '@aws-sdk/client-s3';

import { localStorage } from '../../lib/storage/local/local-storage';
import { pinKey, readBackup, writeProof } from '../../lib/storage/backups';
import { s3Storage } from '../../lib/storage/s3/s3-storage';
import { putBackup } from '../lib/retention/stored-backups';
import { startRadosgw, type RadosgwServer } from '../servers/radosgw';

import { readBinary, runWorkflow } from './engine';
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

	test('one run serves all items, but those that name another prefix get their own', async () => {
		for (const key of ['one/a.tar', 'one/b.tar', 'two/a.tar', 'two/b.tar', 'three/a.tar', 'three/b.tar'])
			await put(key.includes('a.tar') ? 0 : 1, key);
		const input = ['one', 'one', 'two', 'one'].map((folder) => ({ folder }));
		const byPrefix = await run(keepLast(1, { prefix: '={{ $json.folder }}/' }), { input });
		const deleted = byPrefix
			.assertSuccess()
			.json('applyRetention')
			.filter(({ action }) => action === 'delete');
		assert.deepEqual(
			deleted.map(({ key }) => key),
			['one/b.tar', 'two/b.tar'],
		);
		assert.deepEqual((await readdir(join(destination, 'three'))).length, 6);
		const jobs = await run({ operation: 'list', return: 'jobs', options: { groupBy: ['name', 'folder'] } });
		assert.deepEqual(
			jobs
				.assertSuccess()
				.json('applyRetention')
				.map(({ folder, backups }) => [folder, backups]),
			[
				['', 4],
				['one', 1],
				['three', 2],
				['two', 1],
			],
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

	test('the dry run tells what would go, what goes next, and in totals', async () => {
		const dry = await run({ policy: 'custom', rules: { keepLast: 2 } });
		const items = dry.assertSuccess().json('applyRetention');
		assert.deepEqual(
			items.map(({ action, deleted }) => [action, deleted]),
			[...Array<unknown>(2).fill(['keep', false]), ...Array<unknown>(2).fill(['delete', false])],
		);
		assert.ok((items[1]?.goesNextAt as string) > new Date().toISOString());
		const [summary] = dry.node('applyRetention').hints;
		assert.match(
			summary?.message ?? '',
			/^Would delete 2 of 4 backups and free 42 bytes; 2 \(42 bytes\) stay\. Next to go is shop-1\.tar, about .* if backups go on every 24 hours$/,
		);
		const [job] = (await run({ policy: 'custom', rules: { keepLast: 2 }, return: 'jobs' })).json(
			'applyRetention',
		);
		assert.deepEqual(
			[job?.name, job?.kind, job?.kept, job?.toDelete, job?.deleted, job?.freedBytes, job?.nextToGo],
			['shop', 'files', 2, 2, 0, 42, 'shop-1.tar'],
		);
		assert.equal((await readdir(destination)).length, 12);
	});

	test('what it could not do fails the node, after all the rest is done', async () => {
		const storage = localStorage({ folder: destination });
		// A checksum that is a link: the storage refuses to delete through it.
		await rm(join(destination, 'shop-3.tar.sha256'));
		await symlink('/etc/hostname', join(destination, 'shop-3.tar.sha256'));
		const old = new Date(Date.now() - 9 * DAY).toISOString();
		for (const key of ['web-1.tar', 'web-2.tar']) {
			await putBackup(storage, key, old, { name: 'web' });
			await writeFile(join(destination, key), '');
		}
		const failed = await run(keepLast(1, { return: 'backups' }));
		assert.match(
			failed.error?.message ?? '',
			/^Retention is not complete: 1 of the backups could not be deleted, and nothing was deleted of web \(files\)\. In all 2 backups were deleted$/,
		);
		assert.match(
			failed.error?.description ?? '',
			/shop-3\.tar could not be deleted.*None of the backups of web/,
		);
		assert.equal((await readdir(destination)).filter((name) => /^shop-[12]/.test(name)).length, 0);
	});

	test('where it goes on after errors, the items tell of each, and one of the failure', async () => {
		const parameters = keepLast(1, { options: { maxDeletions: 1 } });
		const items = (await run(parameters, { onError: 'continueRegularOutput' }))
			.assertSuccess()
			.json('applyRetention');
		assert.deepEqual(Object.keys(items.at(-1)!), ['error', 'details']);
		assert.match(items.at(-1)?.error as string, /would delete \d backups, more than the 1 allowed/);
		assert.ok(items.slice(0, -1).every(({ deleted, refused }) => deleted === false && refused));
		const outputs = (await run(parameters, { onError: 'continueErrorOutput' })).node(
			'applyRetention',
		).outputs;
		assert.equal(outputs[0]?.length, items.length - 1);
		assert.equal(outputs[1]?.length, 1);
	});

	test('without the option it deletes at most 100 in a run', async () => {
		for (let index = 0; index < 101; index += 1) await put(20 + index, `old-${index}.tar`);
		const refused = await run(keepLast(1));
		assert.match(refused.error?.message ?? '', /would delete 104 backups, more than the 100 allowed/);
		(await run(keepLast(1, { options: { maxDeletions: 104 } }))).assertSuccess();
		assert.equal((await readdir(destination)).length, 3);
	});

	test('clocks that went wrong delete nothing, unless the check is off', async () => {
		// Dated today, but the disk of the storage has it from a hundred days ago.
		const before = new Date(Date.now() - 100 * DAY);
		await utimes(join(destination, 'shop-0.tar'), before, before);
		for (const days of [50, 51, 52]) await put(days);
		const ofDays = async (rules: object, options: object = {}) =>
			(await run({ policy: 'custom', rules, options })).json('applyRetention');
		const misdated = (await ofDays({ keepLast: 1 })).find(({ key }) => key === 'shop-0.tar');
		assert.deepEqual([misdated?.action, misdated?.rules], ['keep', ['misdated']]);
		const trusted = await ofDays({ keepLast: 1 }, { checkClocks: false });
		assert.equal(trusted.filter(({ action }) => action === 'keep').length, 1);

		for (const days of [2, 3]) await rm(join(destination, `shop-${days}.tar`));
		const refused = await run(keepLast(0, { rules: { keepDays: 30 } }));
		assert.match(
			refused.error?.message ?? '',
			/all 3 backups of shop \(files\) from before a break of 49 days/,
		);
		assert.match(refused.error?.description ?? '', /Check the clock/);
		const done = await run(keepLast(0, { rules: { keepDays: 30 }, options: { checkClocks: false } }));
		assert.equal(
			done
				.assertSuccess()
				.json('applyRetention')
				.filter(({ deleted }) => deleted).length,
			3,
		);
	});

	test('groups as chosen: without any, all backups are thinned out together', async () => {
		await putBackup(
			localStorage({ folder: destination }),
			'web.tar',
			new Date(Date.now() - 5 * DAY).toISOString(),
			{
				name: 'web',
			},
		);
		const deleted = async (options: object) =>
			(await run({ policy: 'custom', rules: { keepLast: 4 }, options }))
				.json('applyRetention')
				.filter(({ action }) => action === 'delete')
				.map(({ key }) => key);
		assert.deepEqual(await deleted({}), []);
		assert.deepEqual(await deleted({ groupBy: ['kind'] }), ['web.tar']);
		assert.deepEqual(await deleted({ groupBy: [] }), ['web.tar']);
	});

	test('only proven backups count where that is chosen', async () => {
		const storage = localStorage({ folder: destination });
		const { manifest } = await readBackup(storage, 'shop-2.tar');
		await writeProof(storage, 'shop-2.tar', {
			...{ backupId: manifest!.id, storedSha256: manifest!.stored.sha256, passed: true, method: 'by hand' },
			...{ testedAt: new Date().toISOString(), recoveryTime: 1, dataAge: 1, checks: [] },
			tool: { name: 'n8n-nodes-lifeboat', version: '0.1.0' },
		});
		const kept = async (options: object) =>
			(await run({ policy: 'custom', rules: { keepLast: 1 }, options }))
				.json('applyRetention')
				.filter(({ action }) => action === 'keep')
				.map(({ key }) => key);
		assert.deepEqual(await kept({}), ['shop-0.tar']);
		assert.ok((await kept({ countOnlyProven: true })).includes('shop-2.tar'));
	});

	test('tags given where a backup is made keep it, also beside a policy by name', async () => {
		const source = join(folder.path, 'source');
		await mkdir(source, { recursive: true });
		await writeFile(join(source, 'file'), 'x');
		const made = await runWorkflow({
			allowedFolders: [folder.path],
			nodes: [
				{
					type: 'archiveFiles',
					parameters: { name: 'shop', paths: [source], options: { tags: ['release', 'v4', 'release', ''] } },
				},
				{ type: 'upload', parameters: { storage: 'local', folder: destination } },
			],
		});
		const key = (made.assertSuccess().json('upload')[0]?.stored as { key: string }).key;
		const [tagged] = (await run({ operation: 'list' })).json('applyRetention');
		assert.deepEqual([tagged?.key, tagged?.tags], [key, ['release', 'v4']]);
		await put(-1 / 24 / 60, 'newer.tar');
		const reason = async (keepTags: string[]) =>
			(await run({ policy: 'sevenDaily', rules: { keepTags } }))
				.json('applyRetention')
				.find((item) => item.key === key)?.rules;
		assert.deepEqual(await reason(['v4,release']), ['tag']);
		assert.notDeepEqual(await reason(['v4,beta']), ['tag']);
	});

	test('a dry run shows a calendar, a run that deletes only when asked', async () => {
		const dry = (await run({ policy: 'custom', rules: { keepLast: 2 } })).assertSuccess();
		const [first, ...others] = dry.node('applyRetention').items;
		assert.ok(others.every(({ binary }) => binary === undefined));
		const { calendar } = first!.binary!;
		assert.deepEqual([calendar?.fileName, calendar?.mimeType], ['calendar.svg', 'image/svg+xml']);
		const svg = (await readBinary(calendar!)).toString();
		assert.match(svg, /^<svg .*What retention would delete.*2 kept \(42 bytes\), 2 deleted.*<\/svg>\n$/s);
		const off = await run({ policy: 'custom', rules: { keepLast: 2 }, options: { calendar: false } });
		assert.equal(off.node('applyRetention').items[0]?.binary, undefined);

		const silent = (await run(keepLast(3))).assertSuccess();
		assert.equal(silent.node('applyRetention').items[0]?.binary, undefined);
		const asked = (await run(keepLast(2, { options: { calendar: true } }))).assertSuccess();
		const done = asked.node('applyRetention').items[0]!.binary!.calendar!;
		assert.match(
			(await readBinary(done)).toString(),
			/What retention deleted.*2 kept \(42 bytes\), 1 deleted/s,
		);
	});

	test('Simulate tells what a policy leaves, without any storage', async () => {
		const result = await runWorkflow({
			nodes: [
				{
					type: 'applyRetention',
					parameters: {
						...{ operation: 'simulate', policy: 'sevenDaily', every: '6h', duration: '1y' },
						...{ sizeGb: 2, growth: 0 },
					},
				},
			],
		});
		const [item] = result.assertSuccess().json('applyRetention');
		assert.deepEqual([item?.backups, item?.bytes, item?.rules], [7, 14e9, { daily: 7 }]);
		assert.match(
			item?.text as string,
			/^With one backup every 6 hours, after 1 year there are 7 backups of 14 GB/,
		);
		assert.ok(result.node('applyRetention').items[0]?.binary?.calendar);
	});
});

describe('Apply Retention on a bucket with locks and versions', () => {
	let server: RadosgwServer;

	before(async () => {
		server = await startRadosgw();
	});

	after(async () => {
		await server?.stop();
	});

	test('what is locked stays and says so; of the others all versions go', async () => {
		const settings = await server.bucket(undefined, { objectLock: true });
		const createdAt = (days: number) => new Date(Date.now() - days * DAY - 60_000).toISOString();
		const until = new Date(Date.now() + 3_600_000);
		const free = s3Storage(settings);
		const locking = s3Storage({ ...settings, objectLock: { mode: 'GOVERNANCE', until } });
		for (const days of [0, 1, 2]) await putBackup(free, `shop-${days}.tar`, createdAt(days));
		await putBackup(locking, 'shop-3.tar', createdAt(3));
		const s3 = { ...settings, ignoreSSLIssues: false };
		const run = async (more: object) =>
			(
				await runWorkflow({
					credentials: { s3 },
					nodes: [
						{
							type: 'applyRetention',
							parameters: {
								...{ storage: 's3', bucket: settings.bucket, policy: 'custom', rules: { keepLast: 1 } },
								...more,
							},
						},
					],
				})
			)
				.assertSuccess()
				.json('applyRetention');
		const locked = (items: Awaited<ReturnType<typeof run>>) => items.find(({ key }) => key === 'shop-3.tar');
		assert.deepEqual(locked(await run({}))?.rules, ['locked']);
		const done = await run({ mode: 'delete', options: { versions: 'all' } });
		assert.deepEqual([locked(done)?.deleted, locked(done)?.rules], [false, ['locked']]);
		assert.equal(done.filter(({ deleted }) => deleted).length, 2);
		const asked = new ListObjectVersionsCommand({ Bucket: settings.bucket });
		const { Versions = [], DeleteMarkers = [] } = await server.client.send(asked);
		assert.deepEqual(
			[...new Set(Versions.map(({ Key }) => Key!.slice(0, 10)))],
			['shop-0.tar', 'shop-3.tar'],
		);
		assert.deepEqual(DeleteMarkers, []);
		await free.close();
		await locking.close();
	});
});
