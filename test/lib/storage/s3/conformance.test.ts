import { after, before } from 'node:test';

import { s3Storage } from '../../../../lib/storage/s3/s3-storage';
import { startRadosgw, type RadosgwServer } from '../../../servers/radosgw';
import { storageConformance } from '../conformance';
import { crashWhileStoring } from '../crash';

import { unfinishedIn } from './leftovers';

let server: RadosgwServer;
before(async () => {
	server = await startRadosgw();
});
after(() => server.stop());

storageConformance('S3 (radosgw)', async () => {
	const settings = await server.bucket();
	const { bucket: Bucket } = settings;
	const leftovers = () => unfinishedIn(server.client, Bucket);
	return {
		storage: s3Storage(settings),
		leftovers,
		crash: (key) => crashWhileStoring(settings, key, leftovers),
		// The server forgets all of it when it stops.
		cleanup: async () => {},
	};
});
