import assert from 'node:assert/strict';
import { test } from 'node:test';

import { GetObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';

import { runCommand } from './process';
import { startRadosgw } from './radosgw';

test('radosgw starts, keeps objects, checks secrets and stops', async () => {
	const server = await startRadosgw();
	try {
		const { bucket: Bucket } = await server.bucket();
		await server.client.send(new PutObjectCommand({ Bucket, Key: 'a key', Body: 'text' }));
		const { Body } = await server.client.send(new GetObjectCommand({ Bucket, Key: 'a key' }));
		assert.equal(await Body?.transformToString(), 'text');
		const listing = await runCommand(
			'aws',
			['--endpoint-url', server.endpoint, 's3', 'ls', `s3://${Bucket}`],
			{
				env: server.env(),
			},
		);
		assert.match(listing, /4 a key/);
		const { endpoint, accessKeyId } = server;
		const stranger = new S3Client({
			...{ endpoint, region: 'us-east-1', forcePathStyle: true },
			credentials: { accessKeyId, secretAccessKey: 'wrong' },
		});
		await assert.rejects(stranger.send(new GetObjectCommand({ Bucket, Key: 'a key' })), {
			name: 'SignatureDoesNotMatch',
		});
	} finally {
		await server.stop();
	}
	await assert.rejects(fetch(server.endpoint));
});
