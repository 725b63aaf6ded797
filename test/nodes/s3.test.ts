import assert from 'node:assert/strict';
import { test } from 'node:test';

import {
	GetObjectCommand,
	ListMultipartUploadsCommand,
	ListObjectsV2Command,
	PutObjectCommand,
	type S3Client,
} from '@aws-sdk/client-s3';

import { startRadosgw, type S3ServerSettings } from '../servers/radosgw';

import { testDestination } from './destination';
import { staged } from './fixtures';

interface BucketServer {
	client: S3Client;
	bucket: S3ServerSettings;
	stop: () => Promise<void>;
}

testDestination<BucketServer>(
	{
		name: 'a bucket',
		async start() {
			const server = await startRadosgw();
			return { client: server.client, bucket: await server.bucket(), stop: () => server.stop() };
		},
		credentialType: 's3',
		credential: ({ bucket: { endpoint, region, accessKeyId, secretAccessKey } }) => ({
			...{ endpoint, region, forcePathStyle: true, ignoreSSLIssues: false },
			...{ accessKeyId, secretAccessKey },
		}),
		parameters: ({ bucket: { bucket } }) => ({ storage: 's3', bucket }),
		async stored({ client, bucket: { bucket: Bucket } }, prefix) {
			const asked = { Bucket, Prefix: `${prefix}/` };
			const { Contents = [] } = await client.send(new ListObjectsV2Command(asked));
			const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand(asked));
			return [...Contents, ...Uploads].map(({ Key }) => Key!);
		},
		mistakes: () => [
			[{ secretAccessKey: 'not-the-secret' }, {}, /secret|signature|access key/i],
			[{}, { bucket: 'no-such-bucket' }, /no-such-bucket/],
			[{ endpoint: 'http://127.0.0.1:1' }, {}, /127\.0\.0\.1:1/],
		],
	},
	(under) => {
		const { run, dump, upload, download, at, stored } = under;

		test('two backups are thinned out', async () => {
			(await run([dump, upload('two')])).assertSuccess();
			await new Promise((resolve) => setTimeout(resolve, 1100));
			(await run([dump, upload('two')])).assertSuccess();
			assert.equal((await stored('two')).length, 6);
			const thin = at('two', { policy: 'custom', rules: { keepLast: 1 }, mode: 'delete' });
			(await run([{ type: 'applyRetention', parameters: thin }])).assertSuccess();
			assert.equal((await stored('two')).length, 3);
			assert.deepEqual(await staged(under.folder), []);
		});

		test('a flipped bit in the stored object is noticed', async () => {
			const { client, bucket } = under.server;
			(await run([dump, upload('flipped')])).assertSuccess();
			const object = { Bucket: bucket.bucket, Key: (await stored('flipped'))[0] };
			const { Body } = await client.send(new GetObjectCommand(object));
			const bytes = Buffer.from(await Body!.transformToByteArray());
			bytes[Math.floor(bytes.length / 2)]! ^= 1;
			await client.send(new PutObjectCommand({ ...object, Body: bytes }));
			const result = await run([download('flipped')]);
			assert.match(result.error!.message, /flipped|shop-.*damaged/);
			assert.deepEqual(await staged(under.folder), []);
		});
	},
);
