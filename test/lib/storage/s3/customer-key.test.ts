import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { after, before, beforeEach, describe, test } from 'node:test';

import { listBackups, openBackup, readBackup, storeBackup } from '../../../../lib/storage/backups';
import { s3Storage, type S3Settings } from '../../../../lib/storage/s3/s3-storage';
import { makeCertificate, type Certificate } from '../../../servers/certificate';
import { runCommand } from '../../../servers/process';
import { startRadosgw, type RadosgwServer, type S3ServerSettings } from '../../../servers/radosgw';
import { stagedBackup } from '../backup-samples';
import { code, inChunks } from '../conformance';

const MiB = 1024 * 1024;
const key = randomBytes(32).toString('base64');
const other = randomBytes(32).toString('base64');

describe('a bucket of S3 with keys that the client sends', () => {
	let certificate: Certificate;
	let server: RadosgwServer;
	let bucket: S3ServerSettings;

	before(async () => {
		certificate = await makeCertificate();
		server = await startRadosgw({ tls: certificate });
	});
	after(async () => {
		await server?.stop();
		await certificate?.remove();
	});
	beforeEach(async () => {
		bucket = await server.bucket();
	});

	const storage = (customerKey?: string, more: Partial<S3Settings> = {}) =>
		s3Storage({ ...bucket, ca: certificate.pem, ...(customerKey && { customerKey }), ...more });
	const aws = (...args: string[]) =>
		runCommand('aws', ['--no-verify-ssl', ...args], {
			env: { ...server.env(), PYTHONWARNINGS: 'ignore', AWS_REQUEST_CHECKSUM_CALCULATION: 'when_required' },
		});

	test('backups are written with the key, small and in parts, and read with it alone', async () => {
		const [mine, another, none] = [storage(key), storage(other), storage()];
		for (const size of [1000, 20 * MiB]) {
			const content = randomBytes(size);
			const name = `nightly/${size}.tar`;
			const { manifest } = await storeBackup(mine, await stagedBackup(content), { key: name });
			const opened = await openBackup(mine, { key: name, manifest }).open();
			assert.ok(content.equals(await buffer(opened.stream)));
			const range = { start: 100, end: 299 };
			assert.ok(content.subarray(100, 300).equals(await buffer(await mine.get(name, { range }))));
			await assert.rejects(storeBackup(mine, await stagedBackup(), { key: name }), code('ALREADY_EXISTS'));
			for (const [wrong, expected] of [
				[another, 'WRONG_KEY'],
				[none, 'KEY_MISSING'],
			] as const) {
				await assert.rejects(wrong.get(name), code(expected));
				await assert.rejects(wrong.stat(name), code(expected));
				await assert.rejects(readBackup(wrong, name), code(expected));
				// Whoever can't read what lies there doesn't replace it either without being told to.
				await assert.rejects(wrong.put(name, inChunks(content)), code(expected));
			}
		}
		const found = [];
		for await (const { key: each, problem } of listBackups(mine)) found.push([each, problem]);
		assert.deepEqual(found, [
			['nightly/1000.tar', undefined],
			[`nightly/${20 * MiB}.tar`, undefined],
		]);
		await Promise.all([mine, another, none].map((each) => each.close()));
	});

	test('what was stored before without a key is still read and replaced', async () => {
		const [plain, mine] = [storage(), storage(key)];
		const backup = await stagedBackup();
		await storeBackup(plain, backup, { key: 'old.tar' });
		assert.equal((await readBackup(mine, 'old.tar')).problem, undefined);
		await storeBackup(mine, await stagedBackup(), { key: 'old.tar', ifExists: 'replace' });
		await assert.rejects(plain.get('old.tar'), code('KEY_MISSING'));
		await Promise.all([plain.close(), mine.close()]);
	});

	test('the aws command reads what was written, and the other way round', async () => {
		const mine = storage(key);
		const folder = await mkdtemp(join(tmpdir(), 'lifeboat-customer-key-'));
		try {
			await writeFile(join(folder, 'key'), Buffer.from(key, 'base64'));
			const sse = ['--sse-c', 'AES256', '--sse-c-key', `fileb://${join(folder, 'key')}`];
			const content = randomBytes(20 * MiB);
			await mine.put('ours', inChunks(content));
			await aws('s3', 'cp', ...sse, `s3://${bucket.bucket}/ours`, join(folder, 'ours'));
			assert.ok(content.equals(await readFile(join(folder, 'ours'))));
			await aws('s3', 'cp', ...sse, join(folder, 'ours'), `s3://${bucket.bucket}/theirs`);
			assert.ok(content.equals(await buffer(await mine.get('theirs'))));
			await assert.rejects(aws('s3', 'cp', `s3://${bucket.bucket}/ours`, join(folder, 'none')));
		} finally {
			await rm(folder, { recursive: true });
			await mine.close();
		}
	});

	test('nothing temporary that lies beside a key stays, and nothing of it is left unfinished', async () => {
		const mine = storage(key, { provider: 'gcs' });
		await mine.put('claimed', inChunks(randomBytes(9 * MiB)));
		const { Contents = [] } = await list();
		assert.deepEqual(Contents, ['claimed']);
		assert.equal(await mine.removeUnfinished('', new Date(Date.now() + 3_600_000)), 0);
		await mine.close();
	});
	const list = async () => {
		const text = await aws('s3api', 'list-objects-v2', '--bucket', bucket.bucket);
		const { Contents = [] } = JSON.parse(text) as { Contents?: { Key: string }[] };
		return { Contents: Contents.map((each) => each.Key) };
	};
});

test('a key is refused that is none, and never sent in the clear or told', () => {
	const settings = { bucket: 'b', region: 'r', accessKeyId: 'a', secretAccessKey: 's' };
	for (const wrong of ['', 'password', randomBytes(16).toString('base64'), `${key}AAAA`, key.slice(1)]) {
		assert.throws(
			() => s3Storage({ ...settings, endpoint: 'https://s3', customerKey: wrong }),
			(error: Error) => {
				assert.ok(wrong === '' || !error.message.includes(wrong));
				return code('INVALID_OPTION')(error as never);
			},
		);
	}
	assert.throws(
		() => s3Storage({ ...settings, endpoint: 'http://s3:9000', customerKey: key }),
		(error: Error) => {
			assert.match(error.message, /not sent to s3:9000/);
			assert.ok(!error.message.includes(key));
			return code('INVALID_OPTION')(error as never);
		},
	);
	// An address can't hold the key, so there is none that would open.
	assert.ok(!s3Storage({ ...settings, customerKey: key })['link']);
});
