/** Uploads or downloads much and prints by how many MiB the process grew at most. */
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

import { s3Storage, type S3Settings } from '../../../lib/storage/s3/s3-storage';
import { webDavStorage, type WebDavSettings } from '../../../lib/storage/webdav/webdav-storage';

/** The kinds whose memory is measured. */
export type MeasuredStorage =
	{ kind: 's3'; settings: S3Settings } | { kind: 'webDav'; settings: WebDavSettings };

const [place, what, bytes] = JSON.parse(process.argv[2]!) as [MeasuredStorage, 'upload' | 'download', number];
const storage = place.kind === 's3' ? s3Storage(place.settings) : webDavStorage(place.settings);
const chunk = Buffer.alloc(1024 * 1024, 'x');

function* content(size: number): Generator<Buffer> {
	for (let sent = 0; sent < size; sent += chunk.length) yield chunk;
}

async function swallow(source: AsyncIterable<Buffer>): Promise<void> {
	for await (const piece of source) void piece;
}

void (async () => {
	// The code that is loaded on first use is not what is measured.
	await storage.put('warm', Readable.from(content(1_000_000)), { ifExists: 'replace' });
	await pipeline(await storage.get('warm'), swallow);
	const before = process.memoryUsage.rss();
	let most = before;
	const timer = setInterval(() => (most = Math.max(most, process.memoryUsage.rss())), 10);
	if (what === 'upload') await storage.put('large', Readable.from(content(bytes)));
	else await pipeline(await storage.get('large'), swallow);
	clearInterval(timer);
	await storage.close();
	console.log(Math.round((most - before) / 1024 / 1024));
})();
