import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import type { IDataObject } from 'n8n-workflow';

import { localStorage } from '../../lib/storage/local/local-storage';
import { writePin } from '../../lib/storage/backups';
import { startFaultProxy } from '../servers/fault-proxy';
import { startRadosgw, type RadosgwServer, type S3ServerSettings } from '../servers/radosgw';

import { runWorkflow, type WorkflowRun } from './engine';
import { createFiles, staged, temporaryFolder } from './fixtures';
import { testCredential } from './node-methods';

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
		const [stored] = result.json('upload') as [{ stored: { key: string; sha256: string; size: number } }];
		const [copied] = result.json('to folder');
		const name = stored.stored.key.replace('nightly/', '');
		assert.equal(copied!.key, name);
		const { seconds, bytesPerSecond, ...where } = copied!.stored as IDataObject;
		assert.ok(Number(seconds) > 0 && Number(bytesPerSecond) > 0);
		const { sha256, size } = stored.stored;
		const storage = `folder ${join(folder.path, 'two')}`;
		assert.deepEqual(where, { key: name, storage, size, sha256, method: 'read-back' });
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
			assert.equal(result.error!.message, 'No credential is chosen for S3-Compatible Storage');
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
		assert.match((await remove({ selectOne: 'key', key: '={{ "" }}' })).error!.message, /Stored Backup/);
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

	test('a key template names the backup, and its sequence survives a repeated run', async () => {
		const keyTemplate = '{name}/{year}/{sequence}-{workflow}{extension}';
		const send = async (more: object = {}) =>
			await run(
				[
					archive(),
					upload(inFolder('keyed', { keyTemplate, prefix: 'p', ...more }), 'a'),
					upload(inFolder('keyed', { keyTemplate, prefix: 'p' }), 'b'),
				],
				{ workflowName: 'Nightly / all' },
			);
		const stored = (result: Awaited<ReturnType<typeof send>>, name: string) =>
			(result.assertSuccess().json(name)[0]!.stored as IDataObject).key;
		const year = new Date().getUTCFullYear();
		const first = await send();
		assert.equal(stored(first, 'a'), `p/files/${year}/0001-Nightly - all.tar.zst`);
		assert.equal(stored(first, 'b'), `p/files/${year}/0001-Nightly - all.tar.zst`);
		assert.equal(stored(await send(), 'a'), `p/files/${year}/0002-Nightly - all.tar.zst`);
		const unknown = await send({ keyTemplate: '{nmae}' });
		assert.match(unknown.error!.message, /\{nmae\}, which is not known/);
		assert.match(unknown.error!.description!, /\{name\}/);
	});

	test('an upload keeps to its bandwidth, and can leave the proof to the service', async () => {
		const options = { bandwidthLimit: 0.2, proof: 'service-checksum' };
		const limited = upload(inBucket({ prefix: 'limited', transferOptions: options }));
		const source = { ...archive(), parameters: { ...archive().parameters, compression: 'none' } };
		const [item] = (await run([source, limited])).assertSuccess().json('upload');
		const { size, seconds, method, checksum } = item!.stored as Record<string, number | string>;
		assert.ok(Number(size) > 300_000, String(size));
		assert.ok(Number(seconds) > Number(size) / 200_000 - 0.4, `${size} bytes in ${seconds} s`);
		assert.deepEqual([method, checksum], ['service-checksum', 'MD5']);
	});

	test('what a killed run left long ago is removed by the next one, what others left is not', async () => {
		const root = join(folder.path, 'swept');
		await mkdir(root);
		const old = new Date(Date.now() - 25 * 3_600_000);
		for (const name of ['.lifeboat-old.part', '.lifeboat-new.part', '.of-others.part']) {
			await writeFile(join(root, name), 'half of it');
			if (name !== '.lifeboat-new.part') await utimes(join(root, name), old, old);
		}
		(await run([archive(), upload(inFolder('swept'))])).assertSuccess();
		const left = (await readdir(root)).filter((name) => name.endsWith('.part'));
		assert.deepEqual(left.toSorted(), ['.lifeboat-new.part', '.of-others.part']);
	});

	test('what lies in a storage is verified there, by what the service keeps of it; what was changed fails', async () => {
		for (const prefix of ['audit/a', 'audit/b'])
			(await run([archive(), upload(inBucket({ prefix }))])).assertSuccess();
		const damaged = (await keys('audit/b/')).find((key) => key.endsWith('.tar.zst'))!;
		const verify = async (inStorageHow: string, connected = true, more: object = {}) => {
			const parameters = inBucket({ operation: 'inStorage', prefix: 'audit', inStorageHow, ...more });
			const to = (node: string) => [{ node, type: 'main' as const, index: 0 }];
			const result = await run(
				[
					{ type: 'verifyChecksum', parameters },
					{ name: 'Good', run: (items) => items },
					{ name: 'Alert', run: (items) => items },
				],
				{
					connections: {
						Start: { main: [to('verifyChecksum')] },
						verifyChecksum: { main: [to('Good'), ...(connected ? [to('Alert')] : [])] },
					},
				},
			);
			return result;
		};
		const whole = (await verify('kept')).assertSuccess().json('Good');
		assert.deepEqual(
			whole.map(({ verification }) => (verification as IDataObject).method),
			['kept-checksum', 'kept-checksum'],
		);
		const { PutObjectCommand, HeadObjectCommand } = await import('@aws-sdk/client-s3');
		const object = { Bucket: bucket.bucket, Key: damaged };
		const { ContentLength } = await s3.client.send(new HeadObjectCommand(object));
		await s3.client.send(new PutObjectCommand({ ...object, Body: Buffer.alloc(ContentLength!, 'x') }));
		for (const [how, code] of [
			['kept', 'NOT_COMPARABLE'],
			['kept-or-read', 'CHECKSUM_MISMATCH'],
			['read', 'CHECKSUM_MISMATCH'],
		] as const) {
			const result = (await verify(how)).assertSuccess();
			assert.equal(result.json('Good').length, 1);
			const [alert] = result.json('Alert');
			assert.deepEqual([alert!.code, (alert!.backup as IDataObject).key], [code, damaged]);
		}
		assert.match((await verify('read', false)).error!.message, /damaged/);
		const one = { inStorageSelect: 'key', key: { __rl: true, mode: 'key', value: damaged } };
		assert.equal((await verify('read', true, one)).assertSuccess().json('Alert').length, 1);
		const nothing = await verify('kept', true, { prefix: 'nothing' });
		assert.match(nothing.error!.message, /no backup under "nothing\/"/);
	});

	test('options of S3 reach the object, and a link reads it', async () => {
		const parameters = inBucket({
			...{ prefix: 'options', s3Provider: 'ceph', s3Options: { tags: 'team=ops, tier = 1' } },
			transferOptions: { linkHours: 1 },
		});
		const [item] = (await run([archive(), upload(parameters)])).assertSuccess().json('upload');
		const { link, linkExpiresAt, key, size } = item!.stored as Record<string, string>;
		assert.equal((await (await fetch(link!)).arrayBuffer()).byteLength, size);
		assert.ok(Date.parse(linkExpiresAt!) > Date.now() + 3_500_000);
		const { GetObjectTaggingCommand } = await import('@aws-sdk/client-s3');
		const asked = { Bucket: bucket.bucket, Key: key };
		const { TagSet } = await s3.client.send(new GetObjectTaggingCommand(asked));
		assert.deepEqual(TagSet!.map(({ Key, Value }) => `${Key}=${Value}`).toSorted(), ['team=ops', 'tier=1']);

		for (const [options, message] of [
			[{ tags: 'team' }, /tags.*"team"/],
			[{ objectLockMode: 'GOVERNANCE' }, /Object Lock Until/],
			[{ objectLockUntil: '2020-01-01' }, /Object Lock Until.*2020/],
			[{ kmsKeyId: 'x' }, /KMS/],
			[{ storageClass: 'GLACIER' }, /read back/],
		] as const) {
			const wrong = inBucket({ prefix: 'wrong', s3Options: options });
			assert.match((await run([archive(), upload(wrong)])).error!.message, message);
		}
		const noLink = upload(inFolder('nolink', { transferOptions: { linkHours: 1 } }));
		assert.match((await run([archive(), noLink])).error!.message, /no download links/);
		assert.deepEqual(await keys('wrong/'), []);
	});

	test('the test button of the S3 credential logs in, and tells what is wrong', async () => {
		const result = async (more: object) => await testCredential('upload', 's3', { ...bucket, ...more });
		const good = await result({});
		assert.equal(good.status, 'OK', good.message);
		assert.match(good.message, /accepts the key; it has \d+ buckets.*Test Destination/);
		for (const [wrong, message] of [
			[{ secretAccessKey: 'not-the-secret' }, /secret access key is wrong/],
			[{ accessKeyId: 'nobody' }, /access key is not known/],
			[{ endpoint: 'http://127.0.0.1:9' }, /nothing answers/],
			[{ endpoint: '' }, /Without an endpoint/],
		] as const) {
			const { status, message: said } = await result(wrong);
			assert.equal(status, 'Error');
			assert.match(said, message);
			assert.ok(!said.includes('not-the-secret'));
		}
	});

	test('a customer key comes from its own credential, and stays on this side of a connection without TLS', async () => {
		const s3Credential = { ...bucket, ignoreSSLIssues: false };
		const customerKey = Buffer.alloc(32, 'lifeboat').toString('base64');
		const parameters = inBucket({ operation: 'test', s3Options: { encryption: 'customer' } });
		const none = await run([upload(parameters)]);
		assert.match(none.error!.message, /No credential S3 Customer Key \(SSE-C\) is chosen/);
		for (const [key, message] of [
			[customerKey, /customer key is not sent to 127\.0\.0\.1/],
			['short', /not 256 bits in base64/],
		] as const) {
			const credentials = { s3: s3Credential, lifeboatS3CustomerKeyApi: { customerKey: key } };
			const refused = await run([upload(parameters)], { credentials });
			assert.match(refused.error!.message, message);
			assert.ok(!JSON.stringify(refused.error).includes(customerKey));
		}
	});

	test('a download from an archive says when it will be there, instead of failing', async () => {
		(await run([archive(), upload(inBucket({ prefix: 'cold' }))])).assertSuccess();
		const proxy = await startFaultProxy(bucket.endpoint);
		try {
			const isBackup = (url: string) => !/sha256|json|list-type/.test(url);
			const body = '<Error><Code>InvalidObjectState</Code></Error>';
			let state: Record<string, string> = { 'x-amz-storage-class': 'GLACIER' };
			proxy.onExchange = ({ method, url }) => {
				if (method === 'POST') return { kind: 'answer', status: 202 };
				if (!isBackup(url)) return undefined;
				if (method === 'HEAD' && proxy.log.some((line) => line.startsWith('GET') && isBackup(line)))
					return { kind: 'answer', status: 200, headers: state };
				return method === 'GET' ? { kind: 'answer', status: 403, body } : undefined;
			};
			const credentials = { s3: { ...bucket, endpoint: proxy.endpoint, ignoreSSLIssues: false } };
			const download = async (more: object = {}) => {
				proxy.log.length = 0;
				const parameters = inBucket({ operation: 'download', prefix: 'cold', ...more });
				return await run([upload(parameters)], { credentials });
			};
			const asked = (await download({ ifArchived: 'Bulk' })).assertSuccess();
			const [item] = asked.json('upload');
			assert.deepEqual([item!.restoring, item!.state, item!.artifact], [true, 'requested', undefined]);
			assert.ok(Math.abs(Date.parse(item!.readyBy as string) - Date.now() - 12 * 3_600_000) < 60_000);
			assert.match(asked.node('upload').hints[0]!.message, /archive and is being restored.*asked for now/);
			state = { ...state, 'x-amz-restore': 'ongoing-request="true"' };
			const again = await download();
			assert.equal(again.assertSuccess().json('upload')[0]!.state, 'ongoing');
			assert.ok(!proxy.log.some((line) => line.startsWith('POST')));
			const stopped = await download({ ifArchived: 'stop' });
			assert.match(stopped.error!.message, /archive class/);
			assert.deepEqual(await staged(folder.path), []);
		} finally {
			await proxy.stop();
		}
	});

	test('a destination is tested, and what does not work is told', async () => {
		const probe = async (parameters: object, credentials?: object) =>
			await run(
				[upload({ ...parameters, operation: 'test' })],
				credentials ? { credentials: { s3: credentials as never } } : {},
			);
		const works = {
			...{ ok: true, canWrite: true, canReadBack: true, canReadParts: true, canList: true, canReplace: true },
			...{ refusesToOverwrite: true, canListUnfinished: true, canDelete: true, problems: [] },
		};
		for (const where of [inFolder('tested', { prefix: 'p' }), inBucket({ prefix: 'tested' })]) {
			const [item] = (await probe(where)).assertSuccess().json('upload');
			assert.deepEqual({ ...item, ...works }, item);
		}
		assert.deepEqual(await keys('tested/'), []);
		const wrong = { ...bucket, secretAccessKey: 'not-the-secret', ignoreSSLIssues: false };
		const result = await probe(inBucket({}), wrong);
		const [item] = result.assertSuccess().json('upload');
		assert.deepEqual([item!.ok, item!.canWrite, item!.canReadBack], [false, false, null]);
		assert.match((item!.problems as string[])[0]!, /canWrite: .*(secret|signature)/i);
		assert.match(result.node('upload').hints[0]!.message, /canWrite/);
		assert.ok(!JSON.stringify(item).includes('not-the-secret'));
	});
});
