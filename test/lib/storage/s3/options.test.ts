import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { beforeEach, describe, test } from 'node:test';

import {
	GetObjectLegalHoldCommand,
	GetObjectRetentionCommand,
	GetObjectTaggingCommand,
	HeadObjectCommand,
	PutBucketVersioningCommand,
} from '@aws-sdk/client-s3';

import { storeBackup, writePin } from '../../../../lib/storage/backups';
import { s3Storage, type S3Settings } from '../../../../lib/storage/s3/s3-storage';
import type { Storage } from '../../../../lib/storage/storage';
import type { Exchange, Fault } from '../../../servers/fault-proxy';
import { stagedBackup } from '../backup-samples';
import { code, inChunks } from '../conformance';

import { s3BehindProxy } from './behind-proxy';

const key = 'nightly/shop.tar';

describe('what is asked of S3 for each object', () => {
	const s3 = s3BehindProxy();
	let exchanges: Exchange[];
	let fault: (exchange: Exchange) => Fault | undefined;

	beforeEach(() => {
		exchanges = [];
		fault = () => undefined;
		s3.proxy.onExchange = (exchange) => {
			exchanges.push(exchange);
			return fault(exchange);
		};
	});

	const withStorage = async (more: Partial<S3Settings>, run: (storage: Storage) => Promise<void>) => {
		const storage = s3.storage(more);
		try {
			await run(storage);
		} finally {
			await storage.close();
		}
	};
	/** Values of a header by method and the key's end. */
	const headers = (name: string) =>
		exchanges
			.filter(({ method }) => ['PUT', 'POST'].includes(method))
			.filter((exchange) => exchange.headers[name] !== undefined)
			.map(({ method, url, headers: all }) => {
				const path = decodeURIComponent(url.split('?')[0]!).slice(s3.settings.bucket.length + 2);
				return `${method} ${path.replace(/upload-.*/, 'upload')} ${all[name] as string}`;
			});

	test('tags stay with all files of a backup', async () => {
		await withStorage({ tags: { team: 'ops & co', tier: '1' } }, async (storage) => {
			await storeBackup(storage, await stagedBackup(), { key });
			await storage.put('large', inChunks(randomBytes(9_000_000)));
			for (const each of [key, `${key}.manifest.json`, `${key}.sha256`, 'large']) {
				const asked = { Bucket: s3.settings.bucket, Key: each };
				const { TagSet } = await s3.server.client.send(new GetObjectTaggingCommand(asked));
				const tags = TagSet!.map(({ Key, Value }) => `${Key}=${Value}`);
				assert.deepEqual(tags.toSorted(), ['team=ops & co', 'tier=1']);
			}
		});
	});

	test('object lock and legal hold keep backup, checksum and manifest, not a pin', async () => {
		s3.settings = await s3.server.bucket(undefined, { objectLock: true });
		const until = new Date(Math.floor(Date.now() / 1000) * 1000 + 3_600_000);
		await withStorage({ objectLock: { mode: 'GOVERNANCE', until }, legalHold: true }, async (storage) => {
			const { manifest } = await storeBackup(storage, await stagedBackup(), { key });
			await storage.put('large', inChunks(randomBytes(9_000_000)));
			await writePin(storage, key, { backupId: manifest.id, pinnedAt: '2026-11-21T03:00:00Z' });
			for (const each of [key, `${key}.manifest.json`, `${key}.sha256`, 'large']) {
				const asked = { Bucket: s3.settings.bucket, Key: each };
				const { Retention } = await s3.server.client.send(new GetObjectRetentionCommand(asked));
				assert.deepEqual([Retention?.Mode, +Retention!.RetainUntilDate!], ['GOVERNANCE', +until], each);
				const { LegalHold } = await s3.server.client.send(new GetObjectLegalHoldCommand(asked));
				assert.equal(LegalHold?.Status, 'ON');
			}
			const pin = { Bucket: s3.settings.bucket, Key: `${key}.pin.json` };
			assert.equal((await s3.server.client.send(new HeadObjectCommand(pin))).ObjectLockMode, undefined);
		});
	});

	test('what can not be locked is not stored', async () => {
		const until = new Date(Date.now() + 3_600_000);
		await withStorage({ objectLock: { mode: 'COMPLIANCE', until } }, async (storage) => {
			for (const size of [10, 9_000_000]) {
				await assert.rejects(storage.put(key, inChunks(randomBytes(size))), { name: 'LifeboatError' });
				assert.equal(await storage.stat(key), undefined);
			}
		});
	});

	test('versions of the same content are told apart', async () => {
		const versioned = { Bucket: s3.settings.bucket, VersioningConfiguration: { Status: 'Enabled' as const } };
		await s3.server.client.send(new PutBucketVersioningCommand(versioned));
		await withStorage({}, async (storage) => {
			for (const content of [randomBytes(100), randomBytes(9_000_000)]) {
				const put = () => storage.put('same', inChunks(content), { ifExists: 'replace' });
				const [first, second] = [await put(), await put()];
				assert.notEqual(first.version, second.version);
				assert.equal((await storage.stat('same'))?.version, second.version);
			}
		});
	});

	test('the storage class is that of the backup alone; encryption is of all that is written', async () => {
		const encryption = { algorithm: 'aws:kms', kmsKeyId: 'key-7' } as const;
		// The server takes no request it would need a key service for: they are recorded, and answered here.
		fault = ({ method, url }) =>
			method === 'PUT' || url.includes('uploads') ? { kind: 'answer', status: 403 } : undefined;
		await withStorage({ storageClass: 'STANDARD_IA', encryption }, async (storage) => {
			const put = (each: string, size: number, role: 'content' | 'sidecar' | 'mark') =>
				assert.rejects(storage.put(each, inChunks(randomBytes(size)), { role, size }), code('ACCESS_DENIED'));
			await put('small', 10, 'content');
			await put('beside', 10, 'sidecar');
			await put('mark', 10, 'mark');
			assert.deepEqual(headers('x-amz-storage-class'), ['PUT small STANDARD_IA']);
			const encrypted = ['small', 'beside', 'mark'];
			assert.deepEqual(
				headers('x-amz-server-side-encryption'),
				encrypted.map((each) => `PUT ${each} aws:kms`),
			);
			assert.equal(headers('x-amz-server-side-encryption-aws-kms-key-id').length, 3);
			exchanges.length = 0;
			fault = ({ url }) => (url.includes('uploads') ? { kind: 'answer', status: 403 } : undefined);
			await assert.rejects(storage.put('large', inChunks(randomBytes(9_000_000))), /may not|denied|key/);
			assert.match(headers('x-amz-server-side-encryption')[0]!, /^PUT \.lifeboat-\w+\.upload aws:kms$/);
		});
	});

	test('requester pays stands in every request', async () => {
		await withStorage({ requesterPays: true }, async (storage) => {
			await storeBackup(storage, await stagedBackup(), { key });
			await storage.put('large', inChunks(randomBytes(9_000_000)));
			for await (const object of storage.list('')) assert.ok(object);
			await storage.delete('large');
			assert.ok(exchanges.length > 10);
			assert.ok(exchanges.every((exchange) => exchange.headers['x-amz-request-payer'] === 'requester'));
			assert.match(await storage.link!(key, 60), /x-amz-request-payer=requester/);
		});
	});

	test('a download link works for anybody, until it expires', async () => {
		const odd = 'with space/größe+100%#?.tar';
		const content = randomBytes(1000);
		await withStorage({}, async (storage) => {
			await storage.put(odd, inChunks(content));
			const link = await storage.link!(odd, 2);
			const read = await fetch(link);
			assert.equal(read.status, 200, await read.clone().text());
			assert.ok(content.equals(Buffer.from(await read.arrayBuffer())));
			assert.equal((await fetch(link.replace('100%25', '101%25'))).status, 403);
			assert.ok(!link.includes(s3.settings.secretAccessKey));
			await new Promise((resolve) => setTimeout(resolve, 3100));
			assert.equal((await fetch(link)).status, 403);
			await assert.rejects(storage.link!(odd, 8 * 24 * 3600), code('INVALID_OPTION'));
		});
	});

	test('an archive class wants the proof of the service, and keeps the manifest readable', async () => {
		await withStorage({ storageClass: 'GLACIER' }, async (storage) => {
			await assert.rejects(storeBackup(storage, await stagedBackup(), { key }), code('INVALID_OPTION'));
			assert.deepEqual(headers('content-length'), []);
		});
	});

	test('an archived object is asked for, and its state told', async () => {
		await withStorage({}, async (storage) => {
			await storage.put(key, inChunks(randomBytes(10)));
			const body = '<Error><Code>InvalidObjectState</Code><Message>m</Message></Error>';
			const state = (headersOfIt: Record<string, string>, restore: number): void => {
				fault = ({ method, url }) => {
					if (url.includes('restore')) return { kind: 'answer', status: restore };
					if (method === 'GET') return { kind: 'answer', status: 403, body };
					return method === 'HEAD' ? { kind: 'answer', status: 200, headers: headersOfIt } : undefined;
				};
			};
			const ask = () => storage.unarchive!(key, { days: 3, tier: 'Bulk' });
			assert.deepEqual(await ask(), { state: 'readable' });
			state({ 'x-amz-storage-class': 'DEEP_ARCHIVE' }, 202);
			await assert.rejects(storage.get(key), code('ARCHIVED'));
			exchanges.length = 0;
			assert.deepEqual(await ask(), { state: 'requested', withinHours: 48 });
			const [, asked] = exchanges;
			assert.equal(`${asked!.method} ${asked!.url}`, `POST /${s3.settings.bucket}/${key}?restore=`);
			const days =
				'<?xml version="1.0" encoding="UTF-8"?><RestoreRequest xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Days>3</Days><GlacierJobParameters><Tier>Bulk</Tier></GlacierJobParameters></RestoreRequest>';
			const sha256 = createHash('sha256').update(days).digest('hex');
			assert.equal(asked!.headers['x-amz-content-sha256'], sha256);
			state({ 'x-amz-storage-class': 'GLACIER', 'x-amz-restore': 'ongoing-request="true"' }, 500);
			assert.deepEqual(await ask(), { state: 'ongoing' });
			const done = 'ongoing-request="false", expiry-date="Fri, 27 Nov 2026 00:00:00 GMT"';
			state({ 'x-amz-storage-class': 'GLACIER', 'x-amz-restore': done }, 500);
			assert.deepEqual(await ask(), { state: 'readable' });
			state({ 'x-amz-storage-class': 'GLACIER' }, 409);
			assert.deepEqual(await ask(), { state: 'ongoing' });
		});
	});

	test('a service that is not known to heed conditions is kept in order by claims', async () => {
		await withStorage({ provider: 'gcs' }, async (storage) => {
			const uploads = Array.from({ length: 4 }, () => storage.put('one', inChunks(randomBytes(50))));
			const results = await Promise.allSettled(uploads);
			assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1);
			assert.ok(exchanges.every((exchange) => exchange.headers['if-none-match'] === undefined));
			assert.equal((await buffer(await storage.get('one'))).length, 50);
		});
	});
});

test('a provider sets what the credential leaves open', () => {
	const settings = { bucket: 'b', region: 'eu-central-1', accessKeyId: 'a', secretAccessKey: 's' };
	const at = (more: Partial<S3Settings>) => s3Storage({ ...settings, ...more }).description;
	assert.equal(at({ provider: 'aws' }), 'bucket b at Amazon S3 in eu-central-1');
	assert.equal(at({ provider: 'b2' }), 'bucket b at s3.eu-central-1.backblazeb2.com');
	assert.equal(at({ provider: 'wasabi' }), 'bucket b at s3.eu-central-1.wasabisys.com');
	assert.equal(at({ provider: 'digitalocean', region: 'fra1' }), 'bucket b at fra1.digitaloceanspaces.com');
	assert.equal(at({ provider: 'hetzner', region: 'fsn1' }), 'bucket b at fsn1.your-objectstorage.com');
	assert.equal(at({ provider: 'gcs' }), 'bucket b at storage.googleapis.com');
	assert.equal(at({ provider: 'r2', accountId: '0abc' }), 'bucket b at 0abc.r2.cloudflarestorage.com');
	assert.equal(at({ provider: 'minio', endpoint: 'http://minio:9000' }), 'bucket b at minio:9000');
	for (const provider of ['minio', 'ceph', 'other', 'r2'] as const)
		assert.throws(() => at({ provider }), code('INVALID_OPTION'));
	assert.throws(() => at({ provider: 'nobody' as 'aws' }), code('INVALID_OPTION'));
});
