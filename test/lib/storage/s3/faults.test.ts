import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { afterEach, beforeEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { ListMultipartUploadsCommand } from '@aws-sdk/client-s3';

import type { LifeboatError } from '../../../../lib/errors';
import { openBackup, storeBackup } from '../../../../lib/storage/backups';
import { s3Storage } from '../../../../lib/storage/s3/s3-storage';
import type { Storage } from '../../../../lib/storage/storage';
import type { Exchange, Fault } from '../../../servers/fault-proxy';
import { stagedBackup } from '../backup-samples';
import { code, inChunks, keysOf } from '../conformance';

import { s3BehindProxy } from './behind-proxy';

const size = 20 * 1024 * 1024;
const content = randomBytes(size);
const part = 8 * 1024 * 1024;

const s3 = s3BehindProxy();
/** Through the proxy. */
let storage: Storage;
/** Past the proxy. */
let direct: Storage;

beforeEach(() => {
	direct = s3Storage(s3.settings);
	storage = s3.storage({ timeout: 400 });
});
afterEach(async () => {
	const asked = { Bucket: s3.settings.bucket };
	const { Uploads = [] } = await s3.server.client.send(new ListMultipartUploadsCommand(asked));
	assert.deepEqual(Uploads, []);
	await storage.close();
	await direct.close();
});

/** The faults one after the other, for the exchanges that fit; then none. */
function inTurn(fits: (exchange: Exchange) => boolean, faults: Fault[]): void {
	const left = [...faults];
	s3.proxy.onExchange = (exchange) => (fits(exchange) ? left.shift() : undefined);
}

const isGet = ({ method, url }: Exchange) => method === 'GET' && !url.includes('list-type');
const isPut = ({ method }: Exchange) => method === 'PUT';
const isPart = ({ url }: Exchange) => url.includes('partNumber=');
const isCompletion = ({ method, url }: Exchange) => method === 'POST' && url.includes('uploadId=');

for (const third of [0, 1, 2, 3]) {
	test(`a download that is cut after ${third} thirds is taken up where it ended`, async () => {
		await direct.put('object', inChunks(content));
		const at = Math.floor((size * third) / 3) - (third === 3 ? 1 : 0);
		inTurn(isGet, [{ kind: 'cut-response', after: at }]);
		assert.ok(content.equals(await buffer(await storage.get('object'))));
		assert.equal(s3.proxy.log.filter((line) => line.startsWith('GET')).length, 2);
		const range = { start: 1000, end: size - 1001 };
		inTurn(isGet, [
			{ kind: 'cut-response', after: at >> 1 },
			{ kind: 'cut-response', after: at >> 2 },
		]);
		assert.ok(content.subarray(1000, -1000).equals(await buffer(await storage.get('object', { range }))));
	});
}

test('a download that is cut again and again fails, it never ends early', async () => {
	await direct.put('object', inChunks(content));
	let first = true;
	s3.proxy.onExchange = (exchange) => {
		if (!isGet(exchange)) return undefined;
		const after = first ? 5_000_000 : 0;
		first = false;
		return { kind: 'cut-response', after };
	};
	await assert.rejects(buffer(await storage.get('object')), code('CONNECTION_FAILED'));
});

test('a download that stalls is taken up, a slow reader is waited for', async () => {
	await direct.put('object', inChunks(content));
	inTurn(isGet, [
		{ kind: 'stall', after: 3_000_000 },
		{ kind: 'stall', after: 9_000_000 },
	]);
	assert.ok(content.equals(await buffer(await storage.get('object'))));
	const slow: Buffer[] = [];
	let paused = false;
	for await (const chunk of await storage.get('object')) {
		slow.push(chunk as Buffer);
		if (!paused) await sleep(1000);
		paused = true;
	}
	assert.ok(content.equals(Buffer.concat(slow)));
});

test('a download does not go on in another object that took the place', async () => {
	await direct.put('object', inChunks(content));
	inTurn(isGet, [{ kind: 'cut-response', after: 1_000_000 }]);
	const stream = await storage.get('object');
	await direct.put('object', inChunks(randomBytes(size)), { ifExists: 'replace' });
	await assert.rejects(buffer(stream), code('INCOMPLETE'));
});

for (const third of [0, 1, 2]) {
	test(`an upload that is cut after ${third} thirds of a part is sent again`, async () => {
		inTurn(isPart, Array<Fault>(3).fill({ kind: 'cut-request', after: (part * third) / 3 }));
		await storage.put('object', inChunks(content));
		inTurn(isPut, [{ kind: 'cut-request', after: 333 * third }]);
		await storage.put('small', inChunks(content.subarray(0, 1000)));
		assert.ok(content.equals(await buffer(await direct.get('object'))));
		assert.ok(content.subarray(0, 1000).equals(await buffer(await direct.get('small'))));
	});
}

test('an upload that is cut again and again fails and leaves nothing', async () => {
	s3.proxy.onExchange = (exchange) =>
		isPart(exchange) ? { kind: 'cut-request', after: 1_000_000 } : undefined;
	const source = inChunks(content);
	await assert.rejects(storage.put('object', source), code('CONNECTION_FAILED'));
	assert.ok(source.destroyed);
	assert.deepEqual(await keysOf(direct, ''), []);
});

test('bytes damaged on their way up are noticed by the service', async () => {
	inTurn(isPart, [{ kind: 'flip-request', at: 4_000_000 }]);
	await assert.rejects(storage.put('object', inChunks(content)), code('STORAGE_FAILED'));
	inTurn(isPut, [{ kind: 'flip-request', at: 40 }]);
	await assert.rejects(storage.put('object', inChunks(content.subarray(0, 100))), code('STORAGE_FAILED'));
	assert.deepEqual(await keysOf(direct, ''), []);
});

test('bytes damaged on their way down fail the proof, and the reading of a backup', async () => {
	const artifact = await stagedBackup();
	inTurn(isGet, [{ kind: 'flip-response', at: 50_000 }]);
	await assert.rejects(storeBackup(storage, artifact), code('PROOF_FAILED'));
	assert.deepEqual(await keysOf(direct, ''), []);
	const { key, manifest } = await storeBackup(storage, artifact);
	inTurn(isGet, [{ kind: 'flip-response', at: 99_999 }]);
	const { stream } = await openBackup(storage, { key, manifest }).open();
	await assert.rejects(buffer(stream), code('CHECKSUM_MISMATCH'));
});

test('an answer that is lost does not make a success a failure', async () => {
	inTurn(isPut, [{ kind: 'lose-answer' }]);
	await storage.put('small', inChunks(content.subarray(0, 1000)), { ifExists: 'fail' });
	inTurn(isCompletion, [{ kind: 'lose-answer' }]);
	await storage.put('object', inChunks(content), { ifExists: 'fail' });
	assert.deepEqual(await keysOf(direct, ''), ['object', 'small']);
	inTurn(isPut, [{ kind: 'lose-answer' }]);
	const again = storage.put('small', inChunks(randomBytes(10)), { ifExists: 'fail' });
	await assert.rejects(again, code('ALREADY_EXISTS'));
});

for (const status of [500, 503]) {
	test(`a service that answers ${status} is asked again`, async () => {
		const twice: Fault[] = Array<Fault>(2).fill({ kind: 'answer', status });
		inTurn(isPut, twice);
		await storage.put('object', inChunks(content));
		inTurn(isGet, twice);
		assert.ok(content.equals(await buffer(await storage.get('object'))));
		inTurn(({ url }) => url.includes('list-type'), twice);
		assert.deepEqual(await keysOf(storage, ''), ['object']);
		inTurn(({ method }) => method === 'DELETE', twice);
		await storage.delete('object');
	});
}

test('a service that goes on answering 503 fails the run, and nothing is left', async () => {
	s3.proxy.onExchange = (exchange) => (isPart(exchange) ? { kind: 'answer', status: 503 } : undefined);
	await assert.rejects(storage.put('object', inChunks(content)), (error: LifeboatError) => {
		assert.match(error.message, /the service answered 503/);
		return code('STORAGE_FAILED')(error);
	});
	assert.deepEqual(await keysOf(direct, ''), []);
});

test('an outage in the middle of a transfer is bridged', async () => {
	const patient = s3.storage({ timeout: 60_000, patience: 20_000 });
	/** The first exchange goes as told, then nobody is there for a while. */
	const away = (fits: (exchange: Exchange) => boolean, first: Fault) => {
		const until = Date.now() + 3000;
		const faults = [first];
		s3.proxy.onExchange = (exchange) => {
			if (!fits(exchange) || Date.now() > until) return undefined;
			return faults.shift() ?? { kind: 'cut-request', after: 0 };
		};
	};
	away(isPart, { kind: 'cut-request', after: 5_000_000 });
	await patient.put('object', inChunks(content));
	away(isGet, { kind: 'cut-response', after: 5_000_000 });
	assert.ok(content.equals(await buffer(await patient.get('object'))));
	await patient.close();
});

test('what may not be done is not tried again', async () => {
	const body = '<Error><Code>AccessDenied</Code><Message>no</Message></Error>';
	s3.proxy.onExchange = (exchange) => (isPut(exchange) ? { kind: 'answer', status: 403, body } : undefined);
	const put = storage.put('object', inChunks(content.subarray(0, 10)), { ifExists: 'replace' });
	await assert.rejects(put, code('ACCESS_DENIED'));
	assert.deepEqual(s3.proxy.log, [`PUT /${s3.settings.bucket}/object?x-id=PutObject`]);
});
