import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';

import type {
	ICredentialsDecrypted,
	ICredentialTestFunctions,
	INodeCredentialTestResult,
} from 'n8n-workflow';

import { LifeboatError } from '../../lib/errors';
import { readText } from '../../lib/storage/read-text';
import { webDavStorage } from '../../lib/storage/webdav/webdav-storage';

import { webDavSettings } from './storages/webdav';

/** The test button of the WebDAV credential: writes, reads and deletes a small file at the address. */
export async function testWebDav(
	this: ICredentialTestFunctions,
	credential: ICredentialsDecrypted,
): Promise<INodeCredentialTestResult> {
	try {
		const storage = webDavStorage({ ...webDavSettings(credential.data ?? {}), timeout: 15_000 });
		const probe = randomBytes(12).toString('hex');
		const key = `lifeboat-test-${probe}.txt`;
		try {
			await storage.put(key, Readable.from([Buffer.from(probe)]));
			const found = await readText(storage, key, 1000);
			await storage.delete(key);
			if (found !== probe) {
				return { status: 'Error', message: 'What was written there does not come back the same' };
			}
		} finally {
			await storage.close();
		}
		return { status: 'OK', message: 'A small file was written, read and deleted' };
	} catch (error) {
		if (!(error instanceof LifeboatError)) throw error;
		return { status: 'Error', message: error.hint ? `${error.message}. ${error.hint}` : error.message };
	}
}
