import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { PassThrough } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { after, before, beforeEach, test } from 'node:test';

import { ftpStorage, type FtpSettings } from '../../../../lib/storage/ftp/ftp-storage';
import type { Storage } from '../../../../lib/storage/storage';
import { startProftpd, type ProftpdServer } from '../../../servers/proftpd';
import { startTcpProxy, type TcpProxy, type TcpProxyOptions } from '../../../servers/tcp-proxy';
import { code, inChunks, keysOf } from '../conformance';

const size = 8 * 1024 * 1024;
const content = randomBytes(size);

let server: ProftpdServer;
let folder: string;
/** Past all proxies. */
let direct: Storage;

before(async () => {
	server = await startProftpd();
});
after(() => server.stop());
beforeEach(async () => {
	folder = await mkdtemp(join(server.folder, 'faults-'));
	direct = ftpStorage(settings());
});

const settings = (change: Partial<FtpSettings> = {}): FtpSettings => ({
	...server.access('none'),
	...{ folder: basename(folder), patience: 15_000, ...change },
});

const files = async () => (await readdir(folder, { recursive: true })).toSorted();

/** Runs something with a storage whose connections, those for data too, pass a proxy. */
async function throughProxy(
	fault: NonNullable<TcpProxyOptions['fault']>,
	change: Partial<FtpSettings>,
	run: (storage: Storage) => Promise<void>,
): Promise<void> {
	let active: TcpProxyOptions['fault'] = fault;
	const proxies: TcpProxy[] = [];
	/** Data connections get a proxy each: its port replaces the server's in the answer to EPSV. */
	const control = await startTcpProxy(server.port, {
		change: async (data) => {
			const port = /\|\|\|(\d+)\|/.exec(String(data))?.[1];
			if (port === undefined) return data;
			const proxy = await startTcpProxy(Number(port), {
				fault: (sent, received) => {
					const found = active?.(sent, received);
					if (found) active = undefined;
					return found;
				},
			});
			proxies.push(proxy);
			return Buffer.from(String(data).replace(port, String(proxy.port)));
		},
	});
	const storage = ftpStorage(settings({ port: control.port, ...change }));
	try {
		await run(storage);
		assert.equal(active, undefined, 'the fault never happened');
	} finally {
		await storage.close();
		for (const proxy of [control, ...proxies]) await proxy.stop();
	}
}

for (const third of [0, 1, 2, 3]) {
	const at = Math.floor((size * third) / 3) + (third === 0 ? 1 : third === 3 ? -1000 : 0);

	test(`an upload that is cut after ${third} thirds fails and leaves nothing`, async () => {
		await throughProxy(
			(sent) => (sent >= at ? 'cut' : undefined),
			{},
			async (storage) => {
				const source = inChunks(content);
				await assert.rejects(
					storage.put('sub/object', source, { size }),
					(error: Error & { code: string }) => {
						assert.ok(['CONNECTION_FAILED', 'INCOMPLETE'].includes(error.code), String(error));
						return true;
					},
				);
				assert.ok(source.destroyed);
				assert.deepEqual(await files(), ['sub']);
				await storage.put('sub/object', inChunks(content), { size });
				assert.ok(content.equals(await readFile(join(folder, 'sub/object'))));
			},
		);
	});

	test(`a download that is cut after ${third} thirds goes on where it was`, async () => {
		await direct.put('object', inChunks(content));
		const fault = (_sent: number, received: number) => (received >= at ? ('cut' as const) : undefined);
		await throughProxy(fault, {}, async (storage) => {
			assert.ok(content.equals(await buffer(await storage.get('object'))));
		});
	});
}

test('a download that stalls is taken up again, an upload that stalls fails', async () => {
	await direct.put('object', inChunks(content));
	const stalls = (sent: number, received: number) =>
		sent + received >= size / 2 ? ('stall' as const) : undefined;
	await throughProxy(stalls, { timeout: 1000 }, async (storage) => {
		assert.ok(content.equals(await buffer(await storage.get('object'))));
	});
	await throughProxy(stalls, { timeout: 1000 }, async (storage) => {
		await assert.rejects(storage.put('other', inChunks(content)), code('CONNECTION_FAILED'));
	});
	assert.deepEqual(await files(), ['object']);
});

test('a download does not go on in another object that took the place', async () => {
	await direct.put('object', inChunks(content));
	const fault = (_sent: number, received: number) => (received >= size / 3 ? ('cut' as const) : undefined);
	await throughProxy(fault, {}, async (storage) => {
		const stream = await storage.get('object');
		await direct.put('object', inChunks(randomBytes(size)), { ifExists: 'replace' });
		await assert.rejects(buffer(stream), code('INCOMPLETE'));
	});
});

test('a server that ends the data early, and says that all is well, is not believed', async () => {
	await direct.put('object', inChunks(content));
	const stream = await direct.get('object');
	const half = content.subarray(0, size / 2);
	await writeFile(join(folder, 'object'), half);
	await assert.rejects(buffer(stream), code('INCOMPLETE'));
});

test('a file that is longer than the server said is not cut to that size', async () => {
	await direct.put('object', inChunks(content));
	// As if it was replaced between the question and the reading.
	const control = await startTcpProxy(server.port, {
		change: (data) => Buffer.from(String(data).replace(/size=\d+/i, 'size=1000')),
	});
	const storage = ftpStorage(settings({ port: control.port }));
	try {
		await assert.rejects(buffer(await storage.get('object')), code('INCOMPLETE'));
		const part = await storage.get('object', { range: { start: 10, end: 20 } });
		assert.ok(content.subarray(10, 21).equals(await buffer(part)));
	} finally {
		await storage.close();
		await control.stop();
	}
});

test('a replacement whose first answer is lost leaves nothing beside it', async () => {
	const plain = await startProftpd({ settings: ['AllowOverwrite off'] });
	let replacing = false;
	const control = await startTcpProxy(plain.port, {
		change: (data) => {
			// The old one has stepped aside: the third rename of all, its answer is not seen any more.
			if (!replacing || !/^250 Rename successful/.test(String(data))) return data;
			replacing = false;
			control.cut();
			return data;
		},
	});
	const storage = ftpStorage({ ...plain.access('none'), folder: '', port: control.port, patience: 5000 });
	try {
		await storage.put('object', inChunks(content));
		replacing = true;
		await storage.put('object', inChunks(content.subarray(1)), { ifExists: 'replace' });
		assert.equal(replacing, false);
		assert.deepEqual(await readdir(plain.folder), ['object']);
		assert.ok(content.subarray(1).equals(await readFile(join(plain.folder, 'object'))));
	} finally {
		await storage.close();
		await control.stop();
		await plain.stop();
	}
});

test('an abort ends the wait for a server that does not greet', async () => {
	const silent = await startTcpProxy(server.port, { fault: () => 'stall' });
	const storage = ftpStorage(settings({ port: silent.port }));
	const abort = new AbortController();
	const start = performance.now();
	const put = storage.put('object', inChunks(content), { signal: abort.signal });
	setTimeout(() => abort.abort(), 100);
	await assert.rejects(put, { name: 'AbortError' });
	assert.ok(performance.now() - start < 30_000, 'it waited for the time-out of the connection');
	await storage.close();
	await silent.stop();
});

test('a server that is gone fails what goes on, in words', async () => {
	const control = await startTcpProxy(server.port);
	const storage = ftpStorage(settings({ port: control.port, patience: 300 }));
	await storage.put('object', inChunks(content));
	const source = new PassThrough();
	const put = storage.put('other', source);
	put.catch(() => {});
	source.write(content);
	while (!(await files()).some((name) => name.startsWith('.lifeboat-'))) await new Promise(setImmediate);
	await control.stop();
	await assert.rejects(put, code('CONNECTION_FAILED'));
	assert.ok(source.destroyed);
	await assert.rejects(storage.stat('object'), code('CONNECTION_FAILED'));
	await assert.rejects(keysOf(storage, ''), code('CONNECTION_FAILED'));
	await storage.close();
	assert.deepEqual(await keysOf(direct, ''), ['object']);
	// What the dead connection left is found.
	await direct.removeUnfinished('', new Date(Date.now() + 5000));
	assert.deepEqual(await files(), ['object']);
});

test('an idle connection that was cut is opened again', async () => {
	const control = await startTcpProxy(server.port);
	const storage = ftpStorage(settings({ port: control.port }));
	await storage.put('object', inChunks(content.subarray(0, 10)));
	control.cut();
	assert.equal((await storage.stat('object'))?.size, 10);
	control.cut();
	assert.deepEqual(await keysOf(storage, ''), ['object']);
	control.cut();
	await storage.delete('object');
	assert.deepEqual(await files(), []);
	await storage.close();
	await control.stop();
});

test('what stepped aside when the machine died while it was replaced is never taken for unfinished', async () => {
	await writeFile(join(folder, '.lifeboat-0123.part.old'), 'the only copy');
	await writeFile(join(folder, '.lifeboat-0123.part'), 'half of its successor');
	assert.equal(await direct.removeUnfinished('', new Date(Date.now() + 5000)), 1);
	assert.deepEqual(await files(), ['.lifeboat-0123.part.old']);
});
