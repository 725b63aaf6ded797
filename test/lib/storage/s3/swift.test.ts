import { after, before } from 'node:test';

import { s3Storage } from '../../../../lib/storage/s3/s3-storage';
import { startSwift, type SwiftServer } from '../../../servers/swift';
import { storageConformance, type StorageUnderTest } from '../conformance';
import { crashWhileStoring } from '../crash';

import { unfinishedIn } from './leftovers';

let server: SwiftServer;
before(async () => {
	server = await startSwift();
});
after(() => server.stop());

const make = async (): Promise<StorageUnderTest> => {
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
};

// It takes seconds for a thousand objects.
storageConformance('S3 (Swift)', make, { many: 1100 });
