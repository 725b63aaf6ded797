import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { sftpStorage, type SftpSettings } from '../../../../lib/storage/sftp/sftp-storage';
import type { Storage } from '../../../../lib/storage/storage';
import { startSshd, type SshServer } from '../../../servers/sshd';
import { startTcpProxy, type TcpProxy, type TcpProxyOptions } from '../../../servers/tcp-proxy';
import { code, inChunks, keysOf } from '../conformance';

const size = 8 * 1024 * 1024;
const content = randomBytes(size);

let server: SshServer;
let proxy: TcpProxy;
let fault: NonNullable<TcpProxyOptions['fault']>;
let folder: string;
/** Through the proxy. */
let storage: Storage;
/** Past the proxy. */
let direct: Storage;

before(async () => {
	server = await startSshd();
});
after(() => server.stop());
beforeEach(async () => {
	fault = () => undefined;
	proxy = await startTcpProxy(server.port, { fault: (...bytes) => fault(...bytes) });
	folder = await mkdtemp(join(server.folder, 'faults-'));
	direct = sftpStorage(server.storage(basename(folder)));
	storage = throughProxy();
});
afterEach(async () => {
	await storage.close();
	await direct.close();
	await proxy.stop();
});

const throughProxy = (change: Partial<SftpSettings> = {}) =>
	sftpStorage({ ...server.storage(basename(folder)), port: proxy.port, patience: 20_000, ...change });

const files = () => readdir(folder, { recursive: true });

/** A fault, once, when so many bytes have passed from here on. */
function once(direction: 'sent' | 'received', bytes: number, kind: 'cut' | 'stall'): () => boolean {
	let [start, happened] = [-1, false];
	fault = (sent, received) => {
		const passed = direction === 'sent' ? sent : received;
		if (start < 0) start = passed;
		if (happened || passed - start < bytes) return undefined;
		happened = true;
		return kind;
	};
	return () => happened;
}

for (const third of [0, 1, 2, 3]) {
	const at = Math.floor((size * third) / 3) + (third === 0 ? 5000 : third === 3 ? -5000 : 0);

	test(`an upload that is cut after ${third} thirds goes on where it was`, async () => {
		const happened = once('sent', at, 'cut');
		await storage.put('sub/object', inChunks(content), { size });
		assert.ok(happened());
		assert.ok(content.equals(await readFile(join(folder, 'sub/object'))));
		assert.deepEqual((await files()).toSorted(), ['sub', 'sub/object']);
	});

	test(`an upload that is cut for good after ${third} thirds fails and leaves nothing`, async () => {
		storage = throughProxy({ patience: 0 });
		once('sent', at, 'cut');
		const source = inChunks(content);
		await assert.rejects(storage.put('object', source), code('CONNECTION_FAILED'));
		assert.ok(source.destroyed);
		assert.deepEqual(await files(), []);
	});

	test(`a download that is cut after ${third} thirds goes on where it was`, async () => {
		await direct.put('object', inChunks(content));
		const happened = once('received', at, 'cut');
		assert.ok(content.equals(await buffer(await storage.get('object'))));
		assert.ok(happened());
		const range = { start: 1000, end: size - 1001 };
		once('received', at >> 1, 'cut');
		assert.ok(content.subarray(1000, -1000).equals(await buffer(await storage.get('object', { range }))));
	});
}

test('a download that is cut again and again fails, it never ends early', async () => {
	await direct.put('object', inChunks(content));
	storage = throughProxy({ patience: 1500 });
	const stream = await storage.get('object');
	fault = () => 'cut';
	await assert.rejects(buffer(stream), code('CONNECTION_FAILED'));
});

for (const direction of ['sent', 'received'] as const) {
	test(`a connection that stalls is given up, and the work goes on over another (${direction})`, async () => {
		storage = throughProxy({ timeout: 700 });
		const happened = once(direction, direction === 'sent' ? size / 2 : 1000, 'stall');
		await storage.put('object', inChunks(content));
		assert.ok(happened());
		assert.ok(content.equals(await readFile(join(folder, 'object'))));
		once('received', size / 2, 'stall');
		assert.ok(content.equals(await buffer(await storage.get('object'))));
		assert.deepEqual(await files(), ['object']);
	});
}

test('a stalled upload ends at once when it is aborted', async () => {
	const abort = new AbortController();
	once('sent', size / 2, 'stall');
	const put = storage.put('object', inChunks(content), { signal: abort.signal });
	setTimeout(() => abort.abort(), 500);
	const before = Date.now();
	await assert.rejects(put, { name: 'AbortError' });
	assert.ok(Date.now() - before < 8000);
	assert.deepEqual(await keysOf(direct, ''), []);
	// The stalled connection could remove nothing: what is left is found later.
	assert.equal(await direct.removeUnfinished('', new Date(Date.now() + 5000)), 1);
	assert.deepEqual(await files(), []);
});

test('a slow reader is waited for, a slow source too', async () => {
	await direct.put('object', inChunks(content));
	storage = throughProxy({ timeout: 300 });
	const slow: Buffer[] = [];
	for await (const chunk of await storage.get('object')) {
		if (slow.length === 0) await sleep(1500);
		slow.push(chunk as Buffer);
	}
	assert.ok(content.equals(Buffer.concat(slow)));
	const source = inChunks(content, 4_000_000).map(async (chunk: Buffer) => {
		await sleep(500);
		return chunk;
	});
	await storage.put('slow', source);
	assert.ok(content.equals(await readFile(join(folder, 'slow'))));
});

test('a download does not go on in another object that took the place', async () => {
	await direct.put('object', inChunks(content));
	once('received', size / 3, 'cut');
	const stream = await storage.get('object');
	await direct.put('object', inChunks(randomBytes(size)), { ifExists: 'replace' });
	await assert.rejects(buffer(stream), code('INCOMPLETE'));
});

for (const ifExists of ['fail', 'replace'] as const) {
	test(`an answer that is lost does not make a success a failure (${ifExists})`, async () => {
		// Small enough for one packet a step: each answer in turn is the one that gets lost.
		for (let lost = 1; lost <= 9; lost += 1) {
			await storage.stat('connected');
			let [answers, before] = [0, -1];
			fault = (_sent, received) => {
				if (before >= 0 && received > before) answers += 1;
				before = received;
				return answers === lost ? ((answers += 1), 'cut') : undefined;
			};
			const key = `${ifExists}-${lost}`;
			await storage.put(key, inChunks(content.subarray(0, 100)), { ifExists });
			assert.ok(content.subarray(0, 100).equals(await readFile(join(folder, key))));
			await assert.rejects(storage.put(key, inChunks(content)), code('ALREADY_EXISTS'));
		}
		assert.equal((await files()).length, 9);
	});
}

test('an idle connection that was cut is opened again', async () => {
	await storage.put('object', inChunks(content.subarray(0, 10)));
	proxy.cut();
	assert.equal((await storage.stat('object'))?.size, 10);
	proxy.cut();
	assert.deepEqual(await keysOf(storage, ''), ['object']);
	proxy.cut();
	await storage.delete('object');
	assert.deepEqual(await files(), []);
});

test('a server that is gone fails what goes on, in words', async () => {
	const mortal = await startTcpProxy(server.port);
	const doomed = throughProxy({ port: mortal.port, patience: 500 });
	await doomed.put('object', inChunks(content));
	const stream = await doomed.get('object');
	const put = doomed.put('other', inChunks(content));
	put.catch(() => {});
	await mortal.stop();
	await assert.rejects(buffer(stream), code('CONNECTION_FAILED'));
	await assert.rejects(put, code('CONNECTION_FAILED'));
	await assert.rejects(doomed.stat('object'), code('CONNECTION_FAILED'));
	await assert.rejects(keysOf(doomed, ''), code('CONNECTION_FAILED'));
	await doomed.close();
	assert.deepEqual(await keysOf(direct, ''), ['object']);
});

test('what stepped aside when the machine died while it was replaced is never taken for unfinished', async () => {
	await writeFile(join(folder, '.lifeboat-0123.part.old'), 'the only copy');
	await writeFile(join(folder, '.lifeboat-0123.part'), 'half of its successor');
	assert.equal(await direct.removeUnfinished('', new Date(Date.now() + 5000)), 1);
	assert.deepEqual(await files(), ['.lifeboat-0123.part.old']);
});
