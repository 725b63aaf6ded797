import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { afterEach, beforeEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import {
	CreateMultipartUploadCommand,
	ListMultipartUploadsCommand,
	ListPartsCommand,
	PutObjectCommand,
	UploadPartCommand,
} from '@aws-sdk/client-s3';

import type { LifeboatError } from '../../../../lib/errors';
import { storeBackup } from '../../../../lib/storage/backups';
import { recordPrefix } from '../../../../lib/storage/s3/session';
import type { Storage } from '../../../../lib/storage/storage';
import type { Exchange } from '../../../servers/fault-proxy';
import { stagedBackup } from '../backup-samples';
import { code, inChunks, keysOf } from '../conformance';

import { s3BehindProxy } from './behind-proxy';
import { unfinishedIn } from './leftovers';

const MiB = 1024 * 1024;
/** Eleven parts, of which eight are in flight at once. */
const content = randomBytes(65 * MiB);
const key = 'nightly/shop.tar';

const s3 = s3BehindProxy();
/** Through the proxy. */
let storage: Storage;

beforeEach(() => {
	storage = s3.storage();
});
afterEach(() => storage.close());

const partNumber = ({ url }: Exchange) => Number(/partNumber=(\d+)/.exec(url)?.[1] ?? 0);
const sentParts = () =>
	s3.proxy.log.flatMap((line) => (line.startsWith('PUT') ? (/partNumber=(\d+)/.exec(line)?.[1] ?? []) : []));
const put = (bytes = content, sha256 = createHash('sha256').update(bytes).digest('hex')) =>
	storage.put(key, inChunks(bytes), { size: bytes.length, resumable: { sha256 } });
const leftovers = () => unfinishedIn(s3.server.client, s3.settings.bucket);
const stored = async () => await buffer(await storage.get(key));

/** From a part on, none gets through. */
async function breakAt(part: number): Promise<void> {
	s3.proxy.onExchange = (exchange) =>
		partNumber(exchange) >= part ? { kind: 'answer', status: 503 } : undefined;
	await assert.rejects(put(), (error: LifeboatError) => {
		assert.match(error.message, /What was sent so far is kept/);
		assert.match(error.hint!, /goes on where it stopped/);
		return code('STORAGE_FAILED')(error);
	});
	s3.proxy.onExchange = () => undefined;
	s3.proxy.log.length = 0;
}

for (const part of [1, 4, 11]) {
	test(`an upload that breaks at part ${part} of 11 goes on there`, async () => {
		await breakAt(part);
		assert.deepEqual(await keysOf(storage, ''), []);
		assert.deepEqual(await leftovers(), [recordPrefix(key)]);
		await put();
		const sent = sentParts()
			.map(Number)
			.toSorted((a, b) => a - b);
		assert.ok(
			sent.every((number) => number >= part),
			sent.join(),
		);
		assert.equal(sent.length, 12 - part);
		assert.ok(content.equals(await stored()));
		assert.deepEqual(await leftovers(), []);
	});
}

test('a part that holds other bytes is sent again', async () => {
	await breakAt(4);
	const { Uploads } = await s3.server.client.send(
		new ListMultipartUploadsCommand({ Bucket: s3.settings.bucket }),
	);
	const upload = { Bucket: s3.settings.bucket, Key: key, UploadId: Uploads![0]!.UploadId };
	const other = { ...upload, PartNumber: 2, Body: Buffer.alloc(6 * MiB) };
	await s3.server.client.send(new UploadPartCommand(other));
	await put();
	assert.deepEqual(
		sentParts()
			.map(Number)
			.toSorted((a, b) => a - b),
		[2, 4, 5, 6, 7, 8, 9, 10, 11],
	);
	assert.ok(content.equals(await stored()));
});

test('other bytes, or the same ones elsewhere, start anew', async () => {
	await breakAt(6);
	const other = randomBytes(65 * MiB);
	await put(other);
	assert.equal(sentParts().length, 11);
	assert.ok(other.equals(await stored()));
	// What was left for the first is still there for it, until it is too old.
	assert.deepEqual(await leftovers(), [recordPrefix(key)]);
	await assert.rejects(put(), code('ALREADY_EXISTS'));
	const soon = new Date(Date.now() + 3_600_000);
	assert.equal(await storage.removeUnfinished('nightly/', soon), 1);
	assert.deepEqual(await leftovers(), []);
});

test('an upload that somebody removed meanwhile starts anew', async () => {
	await breakAt(6);
	const { AbortMultipartUploadCommand } = await import('@aws-sdk/client-s3');
	const { Uploads } = await s3.server.client.send(
		new ListMultipartUploadsCommand({ Bucket: s3.settings.bucket }),
	);
	const upload = { Bucket: s3.settings.bucket, Key: key, UploadId: Uploads![0]!.UploadId };
	await s3.server.client.send(new AbortMultipartUploadCommand(upload));
	await put();
	assert.equal(sentParts().length, 11);
	assert.deepEqual(await leftovers(), []);
});

test('what is cancelled, forbidden or has no fixed bytes leaves nothing', async () => {
	const abort = new AbortController();
	s3.proxy.onExchange = (exchange) => {
		if (partNumber(exchange) === 3) abort.abort();
		return undefined;
	};
	const options = { size: content.length, resumable: { sha256: '0'.repeat(64) } };
	await assert.rejects(storage.put(key, inChunks(content), { ...options, signal: abort.signal }), {
		name: 'AbortError',
	});
	assert.deepEqual(await leftovers(), []);
	const body = '<Error><Code>AccessDenied</Code></Error>';
	s3.proxy.onExchange = (exchange) =>
		partNumber(exchange) === 3 ? { kind: 'answer', status: 403, body } : undefined;
	await assert.rejects(put(), code('ACCESS_DENIED'));
	assert.deepEqual(await leftovers(), []);
	s3.proxy.onExchange = (exchange) =>
		partNumber(exchange) === 3 ? { kind: 'answer', status: 503 } : undefined;
	await assert.rejects(storage.put(key, inChunks(content)), code('STORAGE_FAILED'));
	assert.deepEqual(await leftovers(), []);
});

test('an upload of another run that is under way is not touched', async () => {
	let release = () => {};
	const held = new Promise<void>((resolve) => (release = resolve));
	const paused = async function* () {
		let count = 0;
		for await (const chunk of inChunks(content) as AsyncIterable<Buffer>) {
			count += chunk.length;
			if (count > 30 * MiB) await held;
			yield chunk;
		}
	};
	const sha256 = createHash('sha256').update(content).digest('hex');
	const first = storage.put(key, Readable.from(paused()), { size: content.length, resumable: { sha256 } });
	while (sentParts().length < 3) await sleep(20);
	await put();
	release();
	await assert.rejects(first, code('ALREADY_EXISTS'));
	assert.ok(content.equals(await stored()));
	assert.deepEqual(await leftovers(), []);
});

test('a run that was killed is taken up by the next one', async () => {
	const bytes = Buffer.alloc(65 * MiB, 'lifeboat');
	const argument = JSON.stringify([{ ...s3.settings, endpoint: s3.proxy.endpoint }, key, bytes.length]);
	s3.proxy.onExchange = (exchange) =>
		partNumber(exchange) > 5 ? { kind: 'cut-request', after: 100 } : undefined;
	const child = spawn(process.execPath, ['--import', 'tsx', join(__dirname, 'resume-child.ts'), argument], {
		stdio: ['ignore', 'ignore', 'inherit'],
	});
	const ended = once(child, 'exit');
	const partsThere = async () => {
		const { Uploads = [] } = await s3.server.client.send(
			new ListMultipartUploadsCommand({ Bucket: s3.settings.bucket }),
		);
		if (!Uploads[0]) return 0;
		const upload = { Bucket: s3.settings.bucket, Key: key, UploadId: Uploads[0].UploadId };
		return (await s3.server.client.send(new ListPartsCommand(upload))).Parts?.length ?? 0;
	};
	for (const deadline = Date.now() + 30_000; (await partsThere()) < 5; await sleep(50))
		assert.ok(Date.now() < deadline && child.exitCode === null);
	child.kill('SIGKILL');
	await ended;
	s3.proxy.onExchange = () => undefined;
	s3.proxy.log.length = 0;
	await put(bytes);
	assert.equal(sentParts().length, 6);
	assert.ok(bytes.equals(await stored()));
	assert.deepEqual(await leftovers(), []);
});

test('a backup goes on where it stopped, and is proven whole', async () => {
	const backup = await stagedBackup(content);
	s3.proxy.onExchange = (exchange) =>
		partNumber(exchange) >= 7 ? { kind: 'answer', status: 500 } : undefined;
	await assert.rejects(storeBackup(storage, backup, { key }), code('STORAGE_FAILED'));
	s3.proxy.onExchange = () => undefined;
	s3.proxy.log.length = 0;
	const { proof } = await storeBackup(storage, backup, { key });
	assert.equal(sentParts().length, 5);
	assert.deepEqual([proof.method, proof.sha256], ['read-back', backup.manifest.stored.sha256]);
});

test('the service can prove what it received, instead of reading it back', async () => {
	const backup = await stagedBackup(content);
	const { proof } = await storeBackup(storage, backup, { key, proof: 'service-checksum' });
	const { size, sha256 } = backup.manifest.stored;
	assert.deepEqual(proof, { size, sha256, method: 'service-checksum', checksum: 'MD5 of each part' });
	assert.ok(!s3.proxy.log.includes(`GET /${s3.settings.bucket}/${key}?x-id=GetObject`), String(s3.proxy.log));
	const small = await stagedBackup();
	const whole = await storeBackup(storage, small, { key: 'small', proof: 'service-checksum' });
	assert.equal(whole.proof.checksum, 'MD5');
	// An answer that isn't the checksum of what was sent proves nothing.
	s3.proxy.onExchange = ({ method, url, headers }) =>
		method === 'PUT' && url.includes('/other') && headers['content-md5'] !== undefined
			? { kind: 'flip-request', at: 50 }
			: undefined;
	const damaged = storeBackup(storage, await stagedBackup(), { key: 'other', proof: 'service-checksum' });
	await assert.rejects(damaged, code('STORAGE_FAILED'));
	assert.equal(await storage.stat('other'), undefined);
});

test('unfinished uploads of other programs are left alone', async () => {
	const foreign = { Bucket: s3.settings.bucket, Key: 'nightly/of somebody else' };
	await s3.server.client.send(new CreateMultipartUploadCommand(foreign));
	await s3.server.client.send(
		new PutObjectCommand({ Bucket: s3.settings.bucket, Key: 'nightly/.lifeboat-0.claim-x', Body: '' }),
	);
	await breakAt(2);
	const found: Array<[string, boolean]> = [];
	for await (const upload of storage.unfinished('')) found.push([upload.key, upload.ours]);
	assert.deepEqual(found, [
		[foreign.Key, false],
		[key, true],
		['nightly/.lifeboat-0.claim-x', true],
	]);
	const hourAgo = new Date(Date.now() - 3_600_000);
	assert.equal(await storage.removeUnfinished('', hourAgo), 0);
	const soon = new Date(Date.now() + 3_600_000);
	assert.equal(await storage.removeUnfinished('nightly/x', soon), 1);
	assert.equal(await storage.removeUnfinished('nightly/', soon), 1);
	assert.deepEqual(await leftovers(), [recordPrefix(foreign.Key)]);
});

test('objects of about a part are whole', async () => {
	for (const size of [6 * MiB - 1, 6 * MiB, 6 * MiB + 1, 12 * MiB]) {
		const bytes = content.subarray(0, size);
		await storage.put(`of-${size}`, inChunks(bytes), { size });
		assert.ok(bytes.equals(await buffer(await storage.get(`of-${size}`))));
	}
	assert.deepEqual(await leftovers(), []);
});
