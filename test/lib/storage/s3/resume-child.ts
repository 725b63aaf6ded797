/** Stores an object that can be taken up again, until it is killed. */
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';

import { s3Storage, type S3Settings } from '../../../../lib/storage/s3/s3-storage';

const [settings, key, size] = JSON.parse(process.argv[2]!) as [S3Settings, string, number];
const bytes = Buffer.alloc(size, 'lifeboat');
const sha256 = createHash('sha256').update(bytes).digest('hex');
void s3Storage(settings).put(key, Readable.from([bytes]), { size, resumable: { sha256 } });
