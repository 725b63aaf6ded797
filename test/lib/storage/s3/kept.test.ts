import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { after, describe, test } from 'node:test';

import { GetObjectTaggingCommand, HeadObjectCommand, ListObjectVersionsCommand } from '@aws-sdk/client-s3';

import type { LifeboatError } from '../../../../lib/errors';
import { readBackup, storeBackup } from '../../../../lib/storage/backups';
import { s3Storage } from '../../../../lib/storage/s3/s3-storage';
import type { Storage } from '../../../../lib/storage/storage';
import type { Exchange } from '../../../servers/fault-proxy';
import { stagedBackup } from '../backup-samples';
import { code, inChunks, keysOf } from '../conformance';

import { s3BehindProxy } from './behind-proxy';

const key = 'nightly/shop.tar';
/** More than a part: Ceph then forgets the tags and locks that it was told of at the start. */
const size = 9_000_000;
const tags = { team: 'ops' };

describe('an object of S3 that can not be tagged or locked as it should', () => {
	const s3 = s3BehindProxy();
	const opened: Storage[] = [];
	const through = (...more: Parameters<typeof s3.storage>) => {
		const storage = s3.storage(...more);
		opened.push(storage);
		return storage;
	};
	const direct = () => {
		const storage = s3Storage(s3.settings);
		opened.push(storage);
		return storage;
	};
	after(async () => {
		for (const storage of opened) await storage.close();
	});

	const refuse = (query: string, status: number) => {
		s3.proxy.onExchange = ({ method, url }: Exchange) =>
			method === 'PUT' && new URL(url, 'http://s3').searchParams.has(query)
				? { kind: 'answer', status, body: '<Error><Code>Refused</Code></Error>' }
				: undefined;
	};
	const tagsOf = async (Key: string) => {
		const asked = new GetObjectTaggingCommand({ Bucket: s3.settings.bucket, Key });
		const { TagSet = [] } = await s3.server.client.send(asked);
		return Object.fromEntries(TagSet.map((tag) => [tag.Key!, tag.Value!]));
	};

	for (const status of [403, 500]) {
		test(`stays without tags, also in place of another one (${status})`, async () => {
			const storage = through({ tags });
			await direct().put('object', inChunks(randomBytes(size)));
			const content = randomBytes(size);
			refuse('tagging', status);
			await assert.rejects(
				storage.put('object', inChunks(content), { ifExists: 'replace' }),
				(error: LifeboatError) => {
					assert.match(error.message, /^object in bucket \S+ at \S+ could not be tagged as it should: \w/);
					assert.match(error.hint!, /PutObjectTagging/);
					return code('TAGGING_FAILED')(error);
				},
			);
			assert.ok(content.equals(await buffer(await storage.get('object'))));
		});
	}

	test('a backup whose tagging failed is not taken for that which it replaced; the next run tags it, and sends nothing', async () => {
		const storage = through({ tags });
		// Of the same size: only the content tells them apart.
		const [first, second] = [await stagedBackup(randomBytes(size)), await stagedBackup(randomBytes(size))];
		await storeBackup(storage, first, { key });
		refuse('tagging', 403);
		await assert.rejects(
			storeBackup(storage, second, { key, ifExists: 'replace' }),
			(error: LifeboatError) => {
				assert.match(error.message, /had been replaced by then, so its manifest was removed/);
				return code('TAGGING_FAILED')(error);
			},
		);
		assert.deepEqual(await keysOf(storage, ''), [key]);
		await assert.rejects(storeBackup(storage, second, { key }), code('TAGGING_FAILED'));
		assert.match((await readBackup(storage, key)).problem!, /manifest missing/);

		s3.proxy.onExchange = () => undefined;
		s3.proxy.log.length = 0;
		const { manifest } = await storeBackup(storage, second, { key });
		assert.equal((await readBackup(storage, key)).manifest!.id, manifest.id);
		assert.deepEqual(await tagsOf(key), tags);
		assert.ok(!s3.proxy.log.some((line) => line.includes('uploadId=')));
	});

	test('goes where it can not be locked, and the version that it hid comes back', async () => {
		s3.settings = await s3.server.bucket(undefined, { objectLock: true });
		const content = randomBytes(100);
		await direct().put('object', inChunks(content));
		const until = new Date(Date.now() + 3_600_000);
		const storage = through({ objectLock: { mode: 'GOVERNANCE', until } });
		refuse('retention', 403);
		for (const name of ['object', 'new']) {
			const put = storage.put(name, inChunks(randomBytes(size)), { ifExists: 'replace' });
			await assert.rejects(put, code('LOCK_FAILED'));
		}
		assert.ok(content.equals(await buffer(await storage.get('object'))));
		const asked = new ListObjectVersionsCommand({ Bucket: s3.settings.bucket });
		const { Versions = [], DeleteMarkers = [] } = await s3.server.client.send(asked);
		const ofBackups = [...Versions, ...DeleteMarkers].filter(({ Key }) => !Key!.startsWith('.lifeboat-'));
		assert.deepEqual(
			ofBackups.map(({ Key, VersionId }) => [Key, VersionId]),
			[['object', Versions.find(({ Key }) => Key === 'object')!.VersionId]],
		);
	});

	test('is refused before a byte is sent where the bucket has no locks', async () => {
		const content = randomBytes(100);
		await direct().put('object', inChunks(content));
		const until = new Date(Date.now() + 3_600_000);
		for (const lock of [{ objectLock: { mode: 'COMPLIANCE', until } }, { legalHold: true }] as const) {
			const source = inChunks(randomBytes(size));
			const put = through(lock).put('object', source, { ifExists: 'replace' });
			await assert.rejects(put, code('LOCK_FAILED'));
			assert.ok(source.destroyed);
		}
		assert.ok(!s3.proxy.log.some((line) => /^(PUT|POST)/.test(line)));
		assert.ok(content.equals(await buffer(await direct().get('object'))));
		const nowhere = through({ bucket: 'no-such-bucket', legalHold: true });
		await assert.rejects(nowhere.put('object', inChunks(content)), code('BUCKET_NOT_FOUND'));
	});

	test('a backup that lies there without its lock gets it when the run is repeated', async () => {
		s3.settings = await s3.server.bucket(undefined, { objectLock: true });
		const backup = await stagedBackup(randomBytes(size));
		await storeBackup(direct(), backup, { key });
		const until = new Date(Math.floor(Date.now() / 1000) * 1000 + 3_600_000);
		const storage = through({ objectLock: { mode: 'GOVERNANCE', until }, tags });
		await storeBackup(storage, backup, { key });
		for (const each of [key, `${key}.manifest.json`, `${key}.sha256`]) {
			const asked = new HeadObjectCommand({ Bucket: s3.settings.bucket, Key: each });
			const { ObjectLockMode, ObjectLockRetainUntilDate } = await s3.server.client.send(asked);
			assert.deepEqual([ObjectLockMode, +ObjectLockRetainUntilDate!], ['GOVERNANCE', +until]);
			assert.deepEqual(await tagsOf(each), tags);
		}
	});
});
