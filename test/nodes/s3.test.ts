import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import {
	GetObjectCommand,
	ListMultipartUploadsCommand,
	ListObjectsV2Command,
	PutObjectCommand,
} from '@aws-sdk/client-s3';

import { startPostgres, type PostgresServer } from '../servers/postgres';
import { startRadosgw, type RadosgwServer, type S3ServerSettings } from '../servers/radosgw';

import { runWorkflow, type WorkflowRun } from './engine';
import {
	createShop,
	describeDatabase,
	postgresCredential,
	sql,
	staged,
	stagedInTheEnd,
	temporaryFolder,
} from './fixtures';

describe('a bucket as destination, through the nodes', () => {
	let postgres: PostgresServer;
	let s3: RadosgwServer;
	let bucket: S3ServerSettings;
	let folder: Awaited<ReturnType<typeof temporaryFolder>>;

	before(async () => {
		[postgres, s3, folder] = await Promise.all([
			startPostgres({ version: 15 }),
			startRadosgw(),
			temporaryFolder(),
		]);
		bucket = await s3.bucket();
		await createShop(postgres, 'shop');
	});

	after(async () => {
		await Promise.all([postgres?.stop(), s3?.stop(), folder?.remove()]);
	});

	/** As n8n's own S3 credential holds it. */
	const credential = (change: object = {}) => ({
		...{ endpoint: bucket.endpoint, region: bucket.region, forcePathStyle: true, ignoreSSLIssues: false },
		...{ accessKeyId: bucket.accessKeyId, secretAccessKey: bucket.secretAccessKey },
		...change,
	});

	const run = async (nodes: WorkflowRun['nodes'], s3Change: object = {}) =>
		await runWorkflow({
			allowedFolders: [folder.path],
			credentials: { postgres: postgresCredential(postgres, 'shop'), s3: credential(s3Change) },
			nodes,
		});

	const dump = { type: 'dumpDatabase', parameters: { name: 'shop' } };
	const at = (prefix: string, more: object = {}) => ({
		storage: 's3',
		bucket: bucket.bucket,
		prefix,
		...more,
	});
	const upload = (prefix: string) => ({ type: 'upload', parameters: at(prefix) });
	const download = (prefix: string) => ({
		...{ type: 'upload', name: 'download' },
		parameters: at(prefix, { operation: 'download' }),
	});

	const keys = async (prefix: string) =>
		(
			(await s3.client.send(new ListObjectsV2Command({ Bucket: bucket.bucket, Prefix: prefix }))).Contents ??
			[]
		).map(({ Key }) => Key!);

	test('up, listed, down, restored, thinned out', async () => {
		(await run([dump, upload('nightly')])).assertSuccess();
		await new Promise((resolve) => setTimeout(resolve, 1100));
		(await run([dump, upload('nightly')])).assertSuccess();
		assert.equal((await keys('nightly/')).length, 6);
		const list = await run([{ type: 'upload', parameters: at('nightly', { operation: 'list' }) }]);
		assert.deepEqual(
			list
				.assertSuccess()
				.json('upload')
				.map(({ rows }) => rows),
			[2200, 2200],
		);
		await sql(postgres, 'postgres', 'CREATE DATABASE again');
		const restore = { type: 'restore', parameters: { targetDatabase: 'again' } };
		(await run([download('nightly'), restore])).assertSuccess();
		assert.equal(await describeDatabase(postgres, 'again'), await describeDatabase(postgres, 'shop'));
		const thin = at('nightly', { policy: 'custom', rules: { keepLast: 1 }, mode: 'delete' });
		(await run([{ type: 'applyRetention', parameters: thin }])).assertSuccess();
		assert.equal((await keys('nightly/')).length, 3);
		assert.deepEqual(await staged(folder.path), []);
	});

	test('a flipped bit in the stored object is noticed', async () => {
		(await run([dump, upload('flipped')])).assertSuccess();
		const [key] = await keys('flipped/');
		const { Body } = await s3.client.send(new GetObjectCommand({ Bucket: bucket.bucket, Key: key }));
		const bytes = Buffer.from(await Body!.transformToByteArray());
		bytes[Math.floor(bytes.length / 2)]! ^= 1;
		await s3.client.send(new PutObjectCommand({ Bucket: bucket.bucket, Key: key, Body: bytes }));
		const result = await run([download('flipped')]);
		assert.match(result.error!.message, /flipped|shop-.*damaged/);
		assert.deepEqual(await staged(folder.path), []);
	});

	test('a wrong secret, a bucket that is not there, a server that is not there', async () => {
		for (const [change, bucketName, message] of [
			[{ secretAccessKey: 'not-the-secret' }, bucket.bucket, /secret|signature|access key/i],
			[{}, 'no-such-bucket', /no-such-bucket/],
			[{ endpoint: 'http://127.0.0.1:1' }, bucket.bucket, /127\.0\.0\.1:1/],
		] as const) {
			const result = await run(
				[dump, { type: 'upload', parameters: at('x', { bucket: bucketName }) }],
				change,
			);
			assert.equal(result.status, 'error');
			assert.match(result.error!.message, message);
			assert.doesNotMatch(`${result.error!.message} ${result.error!.description}`, /ECONN|undefined/);
			assert.ok(!result.error!.text.includes(bucket.secretAccessKey));
			assert.ok(!result.error!.text.includes('not-the-secret'));
			assert.deepEqual(await staged(folder.path), []);
		}
	});

	test('a cancelled upload leaves no object and no unfinished upload', async () => {
		await sql(
			postgres,
			'shop',
			'CREATE TABLE noise AS SELECT n, md5(n::text) || md5((n * 7)::text) AS text FROM generate_series(1, 400000) n',
		);
		const stop = new AbortController();
		const result = await runWorkflow({
			allowedFolders: [folder.path],
			credentials: { postgres: postgresCredential(postgres, 'shop'), s3: credential() },
			nodes: [dump, upload('cancelled')],
			signal: stop.signal,
			onNodeStart: (name) => {
				if (name === 'upload') setTimeout(() => stop.abort(), 30);
			},
		});
		assert.equal(result.status, 'canceled');
		assert.deepEqual(await keys('cancelled/'), []);
		const unfinished = await s3.client.send(new ListMultipartUploadsCommand({ Bucket: bucket.bucket }));
		assert.deepEqual(unfinished.Uploads ?? [], []);
		assert.deepEqual(await stagedInTheEnd(folder.path), []);
	});
});
