import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { after, before, beforeEach, test } from 'node:test';

import { ListObjectsV2Command, PutObjectCommand } from '@aws-sdk/client-s3';

import { withClaim } from '../../../../lib/storage/s3/claim';
import { s3Target } from '../../../../lib/storage/s3/client';
import { s3Storage } from '../../../../lib/storage/s3/s3-storage';
import { startRadosgw, type RadosgwServer, type S3ServerSettings } from '../../../servers/radosgw';
import { code, inChunks } from '../conformance';

const key = 'nightly/shop.tar';
/** Where claims for the key lie. */
const claims = `nightly/.lifeboat-${createHash('sha256').update('shop.tar').digest('hex').slice(0, 32)}.claim-`;
const nothing = async () => {};

let server: RadosgwServer;
let settings: S3ServerSettings;
before(async () => {
	server = await startRadosgw();
});
after(() => server.stop());
beforeEach(async () => {
	settings = await server.bucket();
});

/** Stores an object over a claim, and tells how many seconds that took. */
async function store(claimLifetime: number): Promise<number> {
	const storage = s3Storage({ ...settings, claimLifetime });
	const start = performance.now();
	try {
		// What has parts is completed under a claim on this service.
		await storage.put(key, inChunks(randomBytes(9_000_000)));
	} finally {
		await storage.close();
	}
	return (performance.now() - start) / 1000;
}

const left = async () =>
	(await server.client.send(new ListObjectsV2Command({ Bucket: settings.bucket, Prefix: claims })))
		.Contents ?? [];

test('the claim of a process of this machine that was killed holds up nobody', async () => {
	const argument = JSON.stringify([settings, key]);
	const child = spawn(process.execPath, ['--import', 'tsx', join(__dirname, 'claim-child.ts'), argument], {
		stdio: ['ignore', 'pipe', 'inherit'],
	});
	const ended = once(child, 'exit');
	await once(child.stdout, 'data');
	assert.equal((await left()).length, 1);
	child.kill('SIGKILL');
	await ended;
	const seconds = await store(600_000);
	assert.ok(seconds < 10, `${seconds} s`);
	assert.deepEqual(await left(), []);
});

test('a claim from elsewhere that is not renewed is dead after its life', async () => {
	const put = { Bucket: settings.bucket, Key: `${claims}0` };
	await server.client.send(
		new PutObjectCommand({ ...put, Body: JSON.stringify({ pid: 1, process: 'far' }) }),
	);
	const seconds = await store(2000);
	assert.ok(seconds > 1.5 && seconds < 15, `${seconds} s`);
	assert.deepEqual(await left(), []);
});

test('a claim that lives longer than its life is renewed, and respected', async () => {
	const target = s3Target({ ...settings, claimLifetime: 1500 });
	let release = () => {};
	const held = new Promise<void>((resolve) => (release = resolve));
	let isMine = () => {};
	const mine = new Promise<void>((resolve) => (isMine = resolve));
	const holder = withClaim(target, key, new AbortController().signal, nothing, async (signal) => {
		isMine();
		await held;
		assert.ok(!signal.aborted);
	});
	await mine;
	await assert.rejects(store(1500), code('LOCKED'));
	release();
	await holder;
	assert.deepEqual(await left(), []);
	await store(1500);
	target.client.destroy();
});

test('who can not renew a claim gives up before others take it', async () => {
	const target = s3Target({ ...settings, claimLifetime: 900, timeout: 500 });
	const start = performance.now();
	const holder = withClaim(target, key, new AbortController().signal, nothing, async (signal) => {
		target.client.middlewareStack.add(
			() => () => Promise.reject(Object.assign(new Error('gone'), { code: 'ECONNRESET' })),
			{ step: 'initialize', name: 'outage' },
		);
		await new Promise((_resolve, reject) => {
			signal.addEventListener('abort', () => reject(new Error('ended')), { once: true });
		});
	});
	await assert.rejects(holder, /gone/);
	assert.ok(performance.now() - start < 2000);
	target.client.destroy();
});
