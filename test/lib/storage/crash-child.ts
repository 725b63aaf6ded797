/** Stores an endless object, until it is killed. Started by `crashWhileStoring`. */
import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';

import { azureStorage, type AzureSettings } from '../../../lib/storage/azure/azure-storage';
import { ftpStorage, type FtpSettings } from '../../../lib/storage/ftp/ftp-storage';
import { localStorage, type LocalStorageSettings } from '../../../lib/storage/local/local-storage';
import { s3Storage, type S3Settings } from '../../../lib/storage/s3/s3-storage';
import { sftpStorage, type SftpSettings } from '../../../lib/storage/sftp/sftp-storage';
import type { Storage } from '../../../lib/storage/storage';

async function* endless() {
	for (;;) {
		yield randomBytes(1024 * 1024);
		await sleep(5);
	}
}

type Settings = AzureSettings | FtpSettings | LocalStorageSettings | S3Settings | SftpSettings;

function storageOf(settings: Settings): Storage {
	if ('bucket' in settings) return s3Storage(settings);
	if ('container' in settings) return azureStorage(settings);
	if ('username' in settings) return sftpStorage(settings);
	if ('security' in settings) return ftpStorage(settings);
	return localStorage(settings);
}

const [settings, key] = JSON.parse(process.argv[2]!) as [Settings, string];
void storageOf(settings).put(key, Readable.from(endless()));
