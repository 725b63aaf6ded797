/** Stores an object that can be taken up again, until it is killed. */
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';

import { sftpStorage, type SftpSettings } from '../../../../lib/storage/sftp/sftp-storage';

const [settings, key, size] = JSON.parse(process.argv[2]!) as [SftpSettings, string, number];
const bytes = Buffer.alloc(size, 'lifeboat');
const sha256 = createHash('sha256').update(bytes).digest('hex');
const source = Readable.from([bytes.subarray(0, size / 2), bytes.subarray(size / 2)]);
// The second half never comes.
const half = source.take(1).flatMap(async function* (chunk: Buffer) {
	yield chunk;
	await new Promise((resolve) => setTimeout(resolve, 60_000));
});
void sftpStorage(settings).put(key, half, { size, resumable: { sha256 } });
