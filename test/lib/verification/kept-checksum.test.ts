import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { copyBackup, readBackup, storeBackup } from '../../../lib/storage/backups';
import type { LifeboatError } from '../../../lib/errors';
import { localStorage } from '../../../lib/storage/local/local-storage';
import { s3Storage } from '../../../lib/storage/s3/s3-storage';
import type { Storage } from '../../../lib/storage/storage';
import { verifyInStorage } from '../../../lib/verification/kept-checksum';
import { isVerdict } from '../../../lib/verification/outcome';
import { startFaultProxy, type FaultProxy } from '../../servers/fault-proxy';
import { startRadosgw, type RadosgwServer } from '../../servers/radosgw';
import { putRaw, stagedBackup } from '../storage/backup-samples';
import { code } from '../storage/conformance';

describe('a backup is verified where it lies', () => {
	let server: RadosgwServer;
	let proxy: FaultProxy;
	let storage: Storage;
	let folder: string;

	before(async () => {
		server = await startRadosgw();
		proxy = await startFaultProxy(server.endpoint);
		storage = s3Storage({ ...(await server.bucket()), endpoint: proxy.endpoint });
		folder = await mkdtemp(join(tmpdir(), 'lifeboat-kept-'));
	});
	after(async () => {
		await storage?.close();
		await proxy?.stop();
		await server?.stop();
		await rm(folder, { recursive: true });
	});

	const size = 9_000_000;
	const store = async (key: string, where = storage) => {
		await storeBackup(where, await stagedBackup(randomBytes(size)), { key });
		proxy.log.length = 0;
		return key;
	};
	/** How often the object itself was read. */
	const readings = (key: string) =>
		proxy.log.filter((line) => line.startsWith('GET') && line.includes(`${key}?`)).length;
	const isFailed = (error: unknown) => {
		assert.ok(isVerdict(error), String(error));
		return code('CHECKSUM_MISMATCH')(error);
	};

	test('without a byte of it, while the service calls it by the version that was proven', async () => {
		const key = await store('whole.tar');
		const { report, manifest } = await verifyInStorage(storage, key, 'kept');
		assert.deepEqual([report.method, report.compared, report.bytes], ['kept-checksum', 'version', 0]);
		assert.equal(readings(key), 0);
		assert.match(
			report.proved.join('. '),
			/9000000 bytes.*still the version \("[0-9a-f-]+"\).*read back.*No byte of it was read now/,
		);
		assert.equal(manifest.provenVersion?.method, 'read-back');
		const read = await verifyInStorage(storage, key, 'read');
		assert.deepEqual(
			[read.report.method, read.report.compared, read.report.bytes],
			['read', 'SHA-256', size],
		);
		assert.equal(readings(key), 1);
	});

	test('and does not hold once something else of the same size lies there, which only a reading tells', async () => {
		const key = await store('replaced.tar');
		await putRaw(storage, key, randomBytes(size));
		await assert.rejects(verifyInStorage(storage, key, 'kept'), code('NOT_COMPARABLE'));
		assert.equal(readings(key), 0);
		await assert.rejects(verifyInStorage(storage, key, 'kept-or-read'), isFailed);
		await putRaw(storage, key, randomBytes(10));
		await assert.rejects(verifyInStorage(storage, key, 'kept'), isFailed);
		await storage.delete(key);
		await assert.rejects(verifyInStorage(storage, key, 'kept'), isFailed);
		await storage.delete(`${key}.manifest.json`);
		await assert.rejects(verifyInStorage(storage, key, 'kept'), code('NOT_FOUND'));
	});

	test('by the SHA-256 that the service keeps, where it does', async () => {
		const key = await store('summed.tar');
		const { manifest } = await readBackup(storage, key);
		const keep = (sha256: string, more: Record<string, string> = {}) => {
			const headers = { 'x-amz-checksum-sha256': Buffer.from(sha256, 'hex').toString('base64'), ...more };
			proxy.onExchange = ({ method, url }) =>
				method === 'HEAD' && url.includes(key) ? { kind: 'add-headers', headers } : undefined;
		};
		keep(manifest!.stored.sha256, { 'x-amz-checksum-type': 'FULL_OBJECT' });
		assert.equal((await verifyInStorage(storage, key, 'kept')).report.compared, 'SHA-256');
		const other = createHash('sha256').update('something else').digest('hex');
		keep(other);
		await assert.rejects(verifyInStorage(storage, key, 'kept-or-read'), isFailed);
		assert.equal(readings(key), 0);
		// That of the parts' checksums says nothing of all bytes.
		keep(other, { 'x-amz-checksum-type': 'COMPOSITE' });
		assert.equal((await verifyInStorage(storage, key, 'kept')).report.compared, 'version');
		proxy.onExchange = () => undefined;
	});

	test('does not pass while the checksum file beside it is missing, damaged, or tells something else', async () => {
		const key = 'beside.tar';
		const local = localStorage({ folder });
		await storeBackup(local, await stagedBackup(randomBytes(1000)), { key });
		const { sha256 } = (await readBackup(local, key)).manifest!.stored;
		const verify = async () => await verifyInStorage(local, key, 'read');
		await putRaw(local, `${key}.sha256`, `${sha256.toUpperCase()} *${key}\n`);
		assert.equal((await verify()).report.method, 'read');
		for (const [text, message] of [
			[`${sha256.replace(/./, (digit) => (digit === '0' ? '1' : '0'))}  ${key}\n`, /another SHA-256/],
			[`${sha256}  other.tar\n`, /other\.tar/],
			[`${sha256.slice(1)}  ${key}\n`, /not one line/],
			['x'.repeat(100_000), /not one line/],
			[undefined, /is missing/],
		] as const) {
			if (text === undefined) await local.delete(`${key}.sha256`);
			else await putRaw(local, `${key}.sha256`, text);
			await assert.rejects(verify(), (error: LifeboatError) => {
				assert.match(error.message, message);
				return code('BACKUP_PROBLEM')(error);
			});
		}
		// Of a backup that is itself damaged that is said.
		await putRaw(local, key, randomBytes(1000));
		await assert.rejects(verify(), isFailed);
	});

	test('in a copy by that copy’s own version, and by reading where the storage keeps nothing', async () => {
		const key = await store('original.tar');
		const elsewhere = s3Storage(await server.bucket());
		const local = localStorage({ folder });
		await copyBackup(storage, key, elsewhere);
		await copyBackup(elsewhere, key, local);
		assert.equal((await verifyInStorage(elsewhere, key, 'kept')).report.compared, 'version');
		assert.equal((await readBackup(local, key)).manifest!.provenVersion, undefined);
		await assert.rejects(verifyInStorage(local, key, 'kept'), code('NOT_COMPARABLE'));
		assert.equal((await verifyInStorage(local, key, 'kept-or-read')).report.method, 'read');
		// A manifest that came along with the files speaks of another place.
		const original = await readBackup(storage, key);
		const { provenVersion } = original.manifest!;
		await putRaw(local, `${key}.manifest.json`, JSON.stringify({ ...original.manifest, provenVersion }));
		await assert.rejects(verifyInStorage(local, key, 'kept'), code('NOT_COMPARABLE'));
		await elsewhere.close();
	});
});
