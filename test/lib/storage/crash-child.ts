/** Stores an endless object, until it is killed. Started by `crashWhileStoring`. */
import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';

import { localStorage, type LocalStorageSettings } from '../../../lib/storage/local/local-storage';
import { s3Storage, type S3Settings } from '../../../lib/storage/s3/s3-storage';

async function* endless() {
	for (;;) {
		yield randomBytes(1024 * 1024);
		await sleep(5);
	}
}

const [settings, key] = JSON.parse(process.argv[2]!) as [LocalStorageSettings | S3Settings, string];
const storage = 'bucket' in settings ? s3Storage(settings) : localStorage(settings);
void storage.put(key, Readable.from(endless()));
