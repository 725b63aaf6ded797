import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { after, before, beforeEach, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { ListObjectVersionsCommand, PutBucketVersioningCommand } from '@aws-sdk/client-s3';

import { deleteBackup } from '../../../../lib/storage/backups';
import { withClaim } from '../../../../lib/storage/s3/claim';
import { s3Target } from '../../../../lib/storage/s3/client';
import { s3Storage, type S3Settings } from '../../../../lib/storage/s3/s3-storage';
import type { Storage } from '../../../../lib/storage/storage';
import { startRadosgw, type RadosgwServer, type S3ServerSettings } from '../../../servers/radosgw';
import { startSwift, type SwiftServer } from '../../../servers/swift';
import { code } from '../conformance';
import { putBackup } from '../../retention/stored-backups';

describe('a bucket that keeps versions', () => {
	let server: RadosgwServer;
	let settings: S3ServerSettings;

	before(async () => {
		server = await startRadosgw();
	});
	after(async () => {
		await server.stop();
	});
	beforeEach(async () => {
		settings = await server.bucket(undefined, { objectLock: true });
	});

	const withStorage = async (more: Partial<S3Settings>, run: (storage: Storage) => Promise<void>) => {
		const storage = s3Storage({ ...settings, ...more });
		try {
			await run(storage);
		} finally {
			await storage.close();
		}
	};
	const put = async (storage: Storage, key: string, text = 'content') => {
		await storage.put(key, Readable.from([Buffer.from(text)]), { ifExists: 'replace', size: text.length });
	};
	const left = async () => {
		const asked = new ListObjectVersionsCommand({ Bucket: settings.bucket });
		const { Versions = [], DeleteMarkers = [] } = await server.client.send(asked);
		return { versions: Versions.map(({ Key }) => Key!), markers: DeleteMarkers.map(({ Key }) => Key!) };
	};

	test('a deletion leaves a marker, or nothing, as chosen; other keys are not touched', async () => {
		await withStorage({}, async (storage) => {
			for (const key of ['a', 'a', 'a.sql', 'b', 'b']) await put(storage, key);
			await storage.delete('b');
			assert.deepEqual(await left(), { versions: ['a', 'a', 'a.sql', 'b', 'b'], markers: ['b'] });
			await storage.deleteVersions!('a');
			await storage.deleteVersions!('b');
			await storage.deleteVersions!('never there');
			assert.deepEqual(await left(), { versions: ['a.sql'], markers: [] });
		});
	});

	test('claims and records of uploads leave no version behind', async () => {
		await withStorage({}, async (storage) => {
			const content = Buffer.alloc(13 * 1024 * 1024, 'x');
			await storage.put('large', Readable.from([content]), {
				size: content.length,
				resumable: { sha256: createHash('sha256').update(content).digest('hex') },
			});
		});
		const target = s3Target({ ...settings, claimLifetime: 1000 });
		const none = async () => {};
		// Long enough to be renewed, which makes another version.
		await withClaim(target, 'claimed', new AbortController().signal, none, () => sleep(500));
		target.client.destroy();
		assert.deepEqual(await left(), { versions: ['large'], markers: [] });
	});

	test('a backup goes with all its files and versions', async () => {
		await withStorage({}, async (storage) => {
			await putBackup(storage, 'shop.tar', '2026-11-20T02:00:00.000Z');
			await deleteBackup(storage, 'shop.tar');
			assert.equal((await left()).versions.length, 3);
			await deleteBackup(storage, 'shop.tar', undefined, 'all');
			assert.deepEqual(await left(), { versions: [], markers: [] });
		});
	});

	test('what is locked is told, and stays with all its versions', async () => {
		const until = new Date(Math.floor(Date.now() / 1000) * 1000 + 3_600_000);
		await withStorage({}, async (storage) => {
			await put(storage, 'a');
			assert.equal(await storage.lock!('a'), undefined);
			assert.equal(await storage.lock!('never there'), undefined);
		});
		await withStorage({ objectLock: { mode: 'GOVERNANCE', until } }, async (storage) => {
			await put(storage, 'a');
			assert.deepEqual(await storage.lock!('a'), { legalHold: false, until });
			await assert.rejects(storage.deleteVersions!('a'), code('OBJECT_LOCKED'));
			assert.equal((await left()).versions.length, 2);
		});
		await withStorage({ legalHold: true }, async (storage) => {
			await put(storage, 'held');
			assert.deepEqual(await storage.lock!('held'), { legalHold: true });
			await assert.rejects(storage.deleteVersions!('held'), /held in bucket .* is locked by a legal hold/);
		});
	});

	test('a bucket without locks, or without versions, has none', async () => {
		settings = await server.bucket();
		await withStorage({}, async (storage) => {
			await put(storage, 'a');
			assert.equal(await storage.lock!('a'), undefined);
			await storage.deleteVersions!('a');
			assert.deepEqual(await left(), { versions: [], markers: [] });
			const VersioningConfiguration = { Status: 'Suspended' as const };
			await server.client.send(
				new PutBucketVersioningCommand({ Bucket: settings.bucket, VersioningConfiguration }),
			);
			await put(storage, 'a');
			await storage.deleteVersions!('a');
			assert.deepEqual(await left(), { versions: [], markers: [] });
		});
	});
});

test('an old service that knows neither locks nor versions can still be used', async () => {
	const server: SwiftServer = await startSwift();
	try {
		const storage = s3Storage(await server.bucket());
		await storage.put('a', Readable.from([Buffer.from('x')]), { size: 1 });
		assert.equal(await storage.lock!('a'), undefined);
		await storage.deleteVersions!('a');
		assert.equal(await storage.stat('a'), undefined);
		await storage.close();
	} finally {
		await server.stop();
	}
});
