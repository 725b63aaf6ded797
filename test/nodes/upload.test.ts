import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import type { IDataObject } from 'n8n-workflow';

import { localStorage } from '../../lib/storage/local/local-storage';
import { writePin } from '../../lib/storage/backups';
import { startRadosgw, type RadosgwServer, type S3ServerSettings } from '../servers/radosgw';

import { runWorkflow, type WorkflowRun } from './engine';
import { createFiles, staged, temporaryFolder } from './fixtures';

describe('Upload, between a bucket and folders', () => {
	let s3: RadosgwServer;
	let bucket: S3ServerSettings;
	let folder: Awaited<ReturnType<typeof temporaryFolder>>;

	before(async () => {
		[s3, folder] = await Promise.all([startRadosgw(), temporaryFolder()]);
		bucket = await s3.bucket();
		await mkdir(join(folder.path, 'files'));
		await createFiles(join(folder.path, 'files'));
	});

	after(async () => {
		await Promise.all([s3?.stop(), folder?.remove()]);
	});

	const run = async (nodes: WorkflowRun['nodes'], more: Partial<WorkflowRun> = {}) =>
		await runWorkflow({
			allowedFolders: [folder.path],
			credentials: { s3: { ...bucket, ignoreSSLIssues: false } },
			nodes,
			...more,
		});

	const archive = () => ({
		type: 'archiveFiles',
		name: 'archive',
		parameters: { name: 'files', paths: join(folder.path, 'files') },
	});
	const inBucket = (more: object) => ({ storage: 's3', bucket: bucket.bucket, ...more });
	const inFolder = (name: string, more: object = {}) => ({
		...{ storage: 'local', folder: join(folder.path, name) },
		...more,
	});
	const upload = (parameters: Record<string, unknown>, name = 'upload') => ({
		type: 'upload',
		name,
		parameters,
	});
	const keys = async (prefix: string) => {
		const { ListObjectsV2Command } = await import('@aws-sdk/client-s3');
		const { Contents = [] } = await s3.client.send(
			new ListObjectsV2Command({ Bucket: bucket.bucket, Prefix: prefix }),
		);
		return Contents.map(({ Key }) => Key!);
	};

	test('a copy goes from a folder to the bucket, within the bucket, and back to a folder', async () => {
		const result = await run([
			archive(),
			upload(inFolder('one', { prefix: 'nightly' })),
			upload(
				inFolder('one', {
					...{ operation: 'copy', select: 'newest', prefix: 'nightly' },
					...{ targetStorage: 's3', targetBucket: bucket.bucket, targetPrefix: 'weekly' },
				}),
				'to bucket',
			),
			upload(
				inBucket({
					...{ operation: 'copy', select: 'id', backupId: '={{ $json.id }}', prefix: 'weekly/' },
					...{ targetStorage: 's3', targetBucket: bucket.bucket, targetPrefix: 'monthly' },
				}),
				'within bucket',
			),
			upload(
				inBucket({
					...{ operation: 'copy', select: 'key', key: '={{ $json.key }}', prefix: 'monthly' },
					...{ targetStorage: 'local', targetFolder: join(folder.path, 'two') },
				}),
				'to folder',
			),
		]);
		result.assertSuccess();
		const [stored] = result.json('upload') as [{ stored: { key: string; sha256: string } }];
		const [copied] = result.json('to folder');
		const name = stored.stored.key.replace('nightly/', '');
		assert.equal(copied!.key, name);
		assert.deepEqual(copied!.stored, {
			...stored.stored,
			...{ key: name, storage: `folder ${join(folder.path, 'two')}` },
		});
		assert.equal((copied!.from as IDataObject).key, `monthly/${name}`);
		for (const suffix of ['', '.sha256', '.manifest.json']) {
			const [original, copy] = await Promise.all(
				['one/nightly', 'two'].map((path) => readFile(join(folder.path, path, name + suffix))),
			);
			assert.ok(original!.equals(copy!), suffix);
		}
		assert.deepEqual(await keys('weekly/'), [
			`weekly/${name}`,
			`weekly/${name}.manifest.json`,
			`weekly/${name}.sha256`,
		]);
		assert.deepEqual(await staged(folder.path), []);
	});

	test('a storage without its credential says which one it wants, for either side', async () => {
		const copy = { operation: 'copy', select: 'key', key: 'x.tar' };
		for (const parameters of [
			inBucket({ ...copy, targetStorage: 'local', targetFolder: join(folder.path, 'three') }),
			inFolder('one', { ...copy, targetStorage: 's3', targetBucket: bucket.bucket }),
		]) {
			const result = await run([upload(parameters)], { credentials: {} });
			assert.match(`${result.error!.message} ${result.error!.description}`, /credentials? set/);
		}
		// No credential is asked for where none is needed.
		const list = await run([upload(inFolder('empty', { operation: 'list' }))], { credentials: {} });
		list.assertSuccess();
	});

	test('a backup is deleted by key or id; what is pinned, foreign or not there is not', async () => {
		const first = await run([archive(), upload(inFolder('del'))]);
		const [item] = first.assertSuccess().json('upload') as [IDataObject & { manifest: { id: string } }];
		const { id } = item.manifest;
		const { key } = item.stored as { key: string };
		await writeFile(join(folder.path, 'del/foreign.txt'), 'not ours');
		const remove = async (more: object) =>
			await run([upload(inFolder('del', { operation: 'delete', ...more }))]);
		const everything = (await readdir(join(folder.path, 'del'))).toSorted();

		const storage = localStorage({ folder: join(folder.path, 'del') });
		await writePin(storage, key, { backupId: id, pinnedAt: '2026-11-21T02:00:00Z' });
		assert.match((await remove({ selectOne: 'key', key })).error!.message, /is pinned/);
		await storage.delete(`${key}.pin.json`);
		const foreign = await remove({ selectOne: 'key', key: 'foreign.txt' });
		assert.match(foreign.error!.message, /foreign\.txt.*not deleted.*not known to be a backup/);
		assert.match(
			(await remove({ selectOne: 'id', backupId: 'nobody' })).error!.message,
			/no backup with the id/,
		);
		assert.match((await remove({ selectOne: 'key', key: '={{ "" }}' })).error!.message, /Key/);
		assert.deepEqual((await readdir(join(folder.path, 'del'))).toSorted(), everything);

		const [gone] = (await remove({ selectOne: 'id', backupId: id })).assertSuccess().json('upload');
		assert.deepEqual([gone!.key, gone!.id, gone!.deleted], [key, id, true]);
		assert.deepEqual(await readdir(join(folder.path, 'del')), ['foreign.txt']);
	});

	test('a list tells of backups what counts, and of other files only if asked', async () => {
		const make = async () =>
			(await run([archive(), upload(inFolder('list'))])).assertSuccess().json('upload')[0]! as IDataObject & {
				manifest: { id: string; createdAt: string; stored: { size: number } };
				stored: { key: string };
			};
		const first = await make();
		const root = join(folder.path, 'list');
		await writeFile(join(root, 'foreign.txt'), 'not ours');
		await writeFile(join(root, 'foreign.txt.sha256'), 'neither');
		await writeFile(join(root, '.lifeboat-0123.part'), 'half of it');
		const storage = localStorage({ folder: root });
		const pin = { backupId: first.manifest.id, pinnedAt: '2026-11-21T02:00:00Z', reason: 'kept' };
		await writePin(storage, first.stored.key, pin);
		await new Promise((resolve) => setTimeout(resolve, 1100));
		const second = await make();
		const list = async (more: object = {}) =>
			(await run([upload(inFolder('list', { operation: 'list', ...more }))])).assertSuccess().json('upload');

		const backups = await list();
		assert.deepEqual(
			backups.map(({ id }) => id),
			[second.manifest.id, first.manifest.id],
		);
		const { createdAt, stored } = first.manifest;
		const expected = {
			...{ type: 'backup', key: first.stored.key, name: 'files', kind: 'files', createdAt },
			...{ size: stored.size, encrypted: false, proven: false, pinned: true, pinReason: 'kept' },
		};
		assert.deepEqual({ ...backups[1], ...expected }, backups[1]);
		assert.equal(backups[0]!.pinned, false);

		const everything = await list({ listOptions: { includeForeign: true, includeUnfinished: true } });
		assert.deepEqual(
			everything.slice(2).map(({ type, key, size }) => [type, key, size]),
			[
				['foreign', 'foreign.txt', 8],
				['foreign', 'foreign.txt.sha256', 7],
				['unfinished', '.lifeboat-0123.part', 10],
			],
		);
		const limited = { returnAll: false, limit: 3, listOptions: { includeForeign: true } };
		assert.equal((await list(limited)).length, 3);
	});
});
