import { buffer } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';

import { PutObjectCommand } from '@aws-sdk/client-s3';

import { listBackups } from '../../lib/storage/backups';
import { s3Storage } from '../../lib/storage/s3/s3-storage';
import type { Storage } from '../../lib/storage/storage';
import { putBackup } from '../lib/retention/stored-backups';
import { startRadosgw } from '../servers/radosgw';

const BACKUPS = 10_000;

/** Read one after the other to learn what that takes. */
const SAMPLE = 300;

/** Milliseconds that the way to a cloud takes; loopback takes none. */
const LATENCY = 10;

/** What `listBackups` promises. */
const AT_ONCE = 8;

/** The same storage with a way to it that takes its time, and a count of the objects read at once. */
function faraway(storage: Storage): { storage: Storage; most: () => number } {
	let open = 0;
	let most = 0;
	const get: Storage['get'] = async (key, options) => {
		open += 1;
		most = Math.max(most, open);
		await sleep(LATENCY);
		const stream = await storage.get(key, options);
		stream.once('close', () => (open -= 1));
		return stream;
	};
	const wrapped = new Proxy(storage, {
		get: (target, name) => {
			if (name === 'get') return get;
			const value: unknown = Reflect.get(target, name);
			return typeof value === 'function' ? (value as () => unknown).bind(target) : value;
		},
	});
	return { storage: wrapped, most: () => most };
}

async function seconds(storage: Storage, prefix: string, concurrency: number): Promise<[number, number]> {
	const start = performance.now();
	let count = 0;
	for await (const { problem } of listBackups(storage, { prefix, concurrency })) {
		if (problem !== undefined) throw new Error(problem);
		count += 1;
	}
	return [(performance.now() - start) / 1000, count];
}

/** Listing 10,000 backups with their sidecars from a bucket: in parallel, but never more than eight at once. */
export async function bench(): Promise<void> {
	const server = await startRadosgw();
	const settings = await server.bucket();
	const bucket = s3Storage(settings);
	// As an upload leaves it, but by the client alone: what is measured is the listing.
	const direct: Pick<Storage, 'put'> = {
		async put(key, source) {
			const Body = await buffer(source);
			await server.client.send(new PutObjectCommand({ Bucket: settings.bucket, Key: key, Body }));
			return { key, size: Body.length, modifiedAt: new Date() };
		},
	};
	try {
		let made = 0;
		const fill = async () => {
			for (let number = made++; number < BACKUPS; number = made++) {
				const prefix = number < SAMPLE ? 'few/' : 'many/';
				const createdAt = new Date(Date.parse('2026-11-21T12:00:00Z') - number * 3_600_000).toISOString();
				await putBackup(direct, `${prefix}shop-${String(number).padStart(5, '0')}.tar`, createdAt);
			}
		};
		await Promise.all(Array.from({ length: 16 }, fill));
		const { storage, most } = faraway(bucket);
		const [few, fewCount] = await seconds(storage, 'few', 1);
		const [all, count] = await seconds(storage, '', AT_ONCE);
		if (fewCount !== SAMPLE || count !== BACKUPS) throw new Error(`${fewCount} and ${count} were listed`);
		const oneByOne = (few / SAMPLE) * BACKUPS;
		console.log(`Listing ${BACKUPS.toLocaleString('en')} backups from S3, ${LATENCY} ms away`);
		console.table([
			{ how: 'one by one (from a sample)', seconds: oneByOne.toFixed(1), 'at once': 1 },
			{ how: `${AT_ONCE} at once`, seconds: all.toFixed(1), 'at once': most() },
		]);
		console.log(`retention-listing-time ratio=${(all / oneByOne).toFixed(2)} limit=0.5`);
		console.log(`retention-listing-requests ratio=${(most() / AT_ONCE).toFixed(2)} limit=1`);
	} finally {
		await bucket.close();
		await server.stop();
	}
}
