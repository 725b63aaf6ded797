import { GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { after, before } from 'node:test';

import { s3Storage } from '../../../../lib/storage/s3/s3-storage';
import { runCommand } from '../../../servers/process';
import { startRadosgw, type RadosgwServer } from '../../../servers/radosgw';
import { backupConformance } from '../backup-conformance';

let server: RadosgwServer;
before(async () => {
	server = await startRadosgw();
});
after(() => server.stop());

backupConformance('S3 (radosgw)', async () => {
	const settings = await server.bucket();
	const { bucket: Bucket, endpoint } = settings;
	return {
		storage: s3Storage(settings),
		async flipBit(Key) {
			const { Body } = await server.client.send(new GetObjectCommand({ Bucket, Key }));
			const content = await Body!.transformToByteArray();
			content[content.length >> 1]! ^= 1;
			await server.client.send(new PutObjectCommand({ Bucket, Key, Body: content }));
		},
		async fetchAll(prefix, folder) {
			const command = ['s3', 'cp', '--recursive', `s3://${Bucket}/${prefix}`, folder];
			await runCommand('aws', ['--endpoint-url', endpoint, ...command], { env: server.env() });
		},
		// The server forgets all of it when it stops.
		cleanup: async () => {},
	};
});
