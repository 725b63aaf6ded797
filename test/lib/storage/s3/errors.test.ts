import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { after, before, test } from 'node:test';

import { PutBucketPolicyCommand } from '@aws-sdk/client-s3';

import type { LifeboatError } from '../../../../lib/errors';
import { deleteBackup, readBackup, storeBackup } from '../../../../lib/storage/backups';
import { s3Storage, type S3Settings } from '../../../../lib/storage/s3/s3-storage';
import type { Storage } from '../../../../lib/storage/storage';
import { makeCertificate } from '../../../servers/certificate';
import { freePort } from '../../../servers/ports';
import { startRadosgw, type RadosgwServer } from '../../../servers/radosgw';
import { stagedBackup } from '../backup-samples';
import { code, inChunks, keysOf } from '../conformance';

let server: RadosgwServer;
before(async () => {
	server = await startRadosgw();
});
after(() => server.stop());

/** Everything a storage does, with what it needs. */
const operations: Record<string, (storage: Storage) => Promise<unknown>> = {
	put: (storage) => storage.put('key', inChunks(randomBytes(10))),
	replace: (storage) => storage.put('key', inChunks(randomBytes(10)), { ifExists: 'replace' }),
	'put of parts': (storage) => storage.put('key', inChunks(randomBytes(9_000_000)), { ifExists: 'replace' }),
	get: (storage) => storage.get('key'),
	stat: (storage) => storage.stat('key'),
	list: (storage) => keysOf(storage, ''),
	delete: (storage) => storage.delete('key'),
	removeUnfinished: (storage) => storage.removeUnfinished('', new Date()),
};

/** Checks that every operation fails so, and that no message holds the secret. */
async function allFail(settings: S3Settings, expected: string, says: RegExp): Promise<void> {
	const storage = s3Storage(settings);
	for (const [name, run] of Object.entries(operations)) {
		await assert.rejects(run(storage), (error: LifeboatError) => {
			assert.equal(error.code, expected, `${name}: ${error.message}`);
			assert.match(error.message, says, name);
			assert.ok(error.message.includes(storage.description), error.message);
			assert.ok(!`${error.message} ${error.hint}`.includes(settings.secretAccessKey));
			return code(expected)(error);
		});
	}
	await storage.close();
}

test('a wrong key or secret', async () => {
	const settings = await server.bucket();
	const secretAccessKey = 'a-wrong-secret';
	await allFail({ ...settings, secretAccessKey }, 'ACCESS_DENIED', /secret access key is wrong|wrong secret/);
	const unknown = { accessKeyId: 'NOBODY', secretAccessKey };
	await allFail({ ...settings, ...unknown }, 'ACCESS_DENIED', /access key is not known|wrong key/);
});

test('a bucket of somebody else', async () => {
	const settings = await server.bucket();
	await s3Storage(settings).put('key', inChunks(randomBytes(10)));
	await allFail(
		{ ...settings, ...(await server.user()) },
		'ACCESS_DENIED',
		/may not do that|access was denied/,
	);
});

test('no such bucket', async () => {
	const settings = await server.bucket();
	await allFail(
		{ ...settings, bucket: 'never-made' },
		'BUCKET_NOT_FOUND',
		/no such bucket|There is no bucket/,
	);
});

test('no server, no such name, no TLS there', async () => {
	const settings = await server.bucket();
	const nobody = `http://127.0.0.1:${await freePort()}`;
	await allFail({ ...settings, endpoint: nobody }, 'CONNECTION_FAILED', /nothing answers/);
	const unknown = s3Storage({ ...settings, endpoint: 'https://s3.invalid' });
	await assert.rejects(unknown.stat('key'), code('CONNECTION_FAILED'));
	assert.equal(unknown.description, `bucket ${settings.bucket} at s3.invalid`);
	const tls = s3Storage({ ...settings, endpoint: server.endpoint.replace('http:', 'https:') });
	await assert.rejects(tls.stat('key'), (error: LifeboatError) => {
		assert.match(error.message, /does not speak TLS/);
		return code('CONNECTION_FAILED')(error);
	});
});

test('endpoints as operators write them', () => {
	const settings = { bucket: 'b', region: '', accessKeyId: 'a', secretAccessKey: 's' };
	const description = (endpoint: string) => s3Storage({ ...settings, endpoint }).description;
	assert.equal(description(''), 'bucket b at Amazon S3 in us-east-1');
	assert.equal(description(' s3.example.com:9000 '), 'bucket b at s3.example.com:9000');
	assert.equal(description('https://user:pw@s3.example.com/'), 'bucket b at s3.example.com');
	for (const endpoint of ['ftp://s3.example.com', 'https://', 'not an address']) {
		assert.throws(() => s3Storage({ ...settings, endpoint }), code('INVALID_OPTION'));
	}
});

test('a certificate of an authority of one’s own', async () => {
	const certificate = await makeCertificate();
	const secure = await startRadosgw({ tls: certificate });
	try {
		const settings = await secure.bucket();
		await allFail(settings, 'CONNECTION_FAILED', /certificate of the server is self-signed/);
		const content = randomBytes(9_000_000);
		for (const trust of [{ ca: certificate.pem }, { ignoreTlsErrors: true }]) {
			const storage = s3Storage({ ...settings, ...trust });
			await storage.put('key', inChunks(content), { ifExists: 'replace' });
			assert.ok(content.equals(await buffer(await storage.get('key'))));
			await storage.close();
		}
	} finally {
		await secure.stop();
		await certificate.remove();
	}
});

test('a backup that may not be deleted stays whole', async () => {
	const settings = await server.bucket();
	const storage = s3Storage(settings);
	const { key, manifest } = await storeBackup(storage, await stagedBackup(), { prefix: 'locked' });
	const policy = {
		Version: '2012-10-17',
		Statement: [
			...[{ Effect: 'Deny', Principal: '*', Action: 's3:DeleteObject' }].map((rule) => ({
				...rule,
				Resource: `arn:aws:s3:::${settings.bucket}/${key}`,
			})),
		],
	};
	await server.client.send(
		new PutBucketPolicyCommand({ Bucket: settings.bucket, Policy: JSON.stringify(policy) }),
	);
	await assert.rejects(deleteBackup(storage, key), code('ACCESS_DENIED'));
	const marks = { pinned: false };
	assert.deepEqual(await readBackup(storage, key), { key, size: 100_000, manifest, marks });
	await storage.close();
});
