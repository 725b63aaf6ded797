import { ListMultipartUploadsCommand, ListObjectsV2Command } from '@aws-sdk/client-s3';
import { after, before } from 'node:test';

import { s3Storage } from '../../../../lib/storage/s3/s3-storage';
import { startRadosgw, type RadosgwServer } from '../../../servers/radosgw';
import { storageConformance } from '../conformance';
import { crashWhileStoring } from '../crash';

let server: RadosgwServer;
before(async () => {
	server = await startRadosgw();
});
after(() => server.stop());

storageConformance('S3 (radosgw)', async () => {
	const settings = await server.bucket();
	const { bucket: Bucket } = settings;
	const leftovers = async () => {
		const { Uploads = [] } = await server.client.send(new ListMultipartUploadsCommand({ Bucket }));
		const { Contents = [] } = await server.client.send(new ListObjectsV2Command({ Bucket }));
		return [...Uploads, ...Contents.filter(({ Key }) => Key?.includes('.lifeboat-'))].map(({ Key }) => Key!);
	};
	return {
		storage: s3Storage(settings),
		leftovers,
		crash: (key) => crashWhileStoring(settings, key, leftovers),
		// The server forgets all of it when it stops.
		cleanup: async () => {},
	};
});
