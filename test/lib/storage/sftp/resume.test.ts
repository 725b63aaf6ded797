import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { link, mkdtemp, open, readdir, readFile, rename, stat, utimes, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { Readable } from 'node:stream';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import type { LifeboatError } from '../../../../lib/errors';
import { storeBackup } from '../../../../lib/storage/backups';
import { sftpStorage } from '../../../../lib/storage/sftp/sftp-storage';
import type { PutOptions, Storage } from '../../../../lib/storage/storage';
import { startSshd, type SshServer } from '../../../servers/sshd';
import { startTcpProxy, type TcpProxy, type TcpProxyOptions } from '../../../servers/tcp-proxy';
import { stagedBackup } from '../backup-samples';
import { code, inChunks, keysOf } from '../conformance';

const MiB = 1024 * 1024;
const size = 12 * MiB;
const content = randomBytes(size);
const sha256Of = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
/** What the protocol adds, and what was under way when the connection was cut. */
const slack = 5 * MiB;

let server: SshServer;
let proxy: TcpProxy;
let fault: NonNullable<TcpProxyOptions['fault']>;
/** Bytes that went to the server, over all connections. */
let sent: number;
let folder: string;
/** Through the proxy; gives up at once. */
let storage: Storage;

before(async () => {
	server = await startSshd();
});
after(() => server.stop());
beforeEach(async () => {
	fault = () => undefined;
	proxy = await startTcpProxy(server.port, {
		fault: (...bytes) => {
			[sent] = bytes;
			return fault(...bytes);
		},
	});
	folder = await mkdtemp(join(server.folder, 'resume-'));
	storage = sftpStorage({ ...server.storage(basename(folder)), port: proxy.port, patience: 0 });
});
afterEach(async () => {
	await storage.close();
	await proxy.stop();
});

const put = (bytes = content, options: PutOptions = {}, sha256 = sha256Of(bytes)) =>
	storage.put('shop.tar', inChunks(bytes), { size: bytes.length, resumable: { sha256 }, ...options });
const files = async () => (await readdir(folder)).toSorted();
const stored = () => readFile(join(folder, 'shop.tar'));

/** How many bytes an action sends. */
async function sentBy(action: () => Promise<unknown>): Promise<number> {
	await storage.stat('connected');
	const before = sent;
	await action();
	return sent - before;
}

/** Cuts the connection once so many bytes were sent. @returns the name of what is left. */
async function breakAt(bytes: number): Promise<string> {
	await storage.stat('connected');
	const start = sent;
	fault = (all) => (all - start >= bytes ? 'cut' : undefined);
	await assert.rejects(put(), (error: LifeboatError) => {
		assert.match(error.message, /What was sent so far is kept/);
		assert.match(error.hint!, /goes on where it stopped/);
		return code('CONNECTION_FAILED')(error);
	});
	fault = () => undefined;
	const [left, ...others] = await files();
	assert.match(left!, /^\.lifeboat-.*\.part$/);
	assert.deepEqual(others, []);
	assert.deepEqual(await keysOf(storage, ''), []);
	return left!;
}

for (const third of [1, 2, 3]) {
	test(`an upload that is cut after ${third} thirds goes on there in the next try`, async () => {
		const at = (size * third) / 3 - (third === 3 ? 1000 : 0);
		await breakAt(at);
		const rest = await sentBy(put);
		assert.ok(rest < size - at + slack, `${rest} bytes were sent again`);
		assert.ok(content.equals(await stored()));
		assert.deepEqual(await files(), ['shop.tar']);
	});
}

test('a process that was killed is followed by the next one', async () => {
	const bytes = Buffer.alloc(size, 'lifeboat');
	const argument = JSON.stringify([server.storage(basename(folder)), 'shop.tar', size]);
	const child = spawn(process.execPath, ['--import', 'tsx', join(__dirname, 'resume-child.ts'), argument], {
		stdio: ['ignore', 'ignore', 'inherit'],
	});
	const ended = once(child, 'exit');
	const there = async () => (await stat(join(folder, (await files())[0] ?? 'none'))).size;
	for (const deadline = Date.now() + 30_000; ; await sleep(50)) {
		// The last block waits for what fills it.
		if ((await there().catch(() => 0)) > size / 2 - MiB) break;
		assert.ok(Date.now() < deadline && child.exitCode === null);
	}
	child.kill('SIGKILL');
	await ended;
	const rest = await sentBy(() => put(bytes));
	assert.ok(rest < size / 2 + 2 * MiB, `${rest} bytes were sent again`);
	assert.ok(bytes.equals(await stored()));
	assert.deepEqual(await files(), ['shop.tar']);
});

test('what was damaged meanwhile is sent again, from there on', async () => {
	const left = await breakAt((size * 2) / 3);
	const handle = await open(join(folder, left), 'r+');
	await handle.write(Buffer.alloc(1), 0, 1, 3 * MiB);
	await handle.write(Buffer.alloc(9), 0, 9, 2 * MiB);
	await handle.close();
	assert.ok((await sentBy(put)) > size - 3 * MiB);
	assert.ok(content.equals(await stored()));
});

test('other bytes, and the same ones under another key, start anew', async () => {
	const left = await breakAt((size * 2) / 3);
	const other = randomBytes(size);
	assert.ok((await sentBy(() => put(other))) > size);
	assert.ok(other.equals(await stored()));
	const options = { size, resumable: { sha256: sha256Of(content) } };
	assert.ok((await sentBy(() => storage.put('copy', inChunks(content), options))) > size);
	assert.deepEqual(await files(), [left, 'copy', 'shop.tar']);
	assert.equal(await storage.removeUnfinished('', new Date(Date.now() - 3_600_000)), 0);
	assert.equal(await storage.removeUnfinished('', new Date(Date.now() + 5000)), 1);
	assert.deepEqual(await files(), ['copy', 'shop.tar']);
});

test('a source that is not what it was said to be is not stored', async () => {
	await breakAt((size * 2) / 3);
	const other = Buffer.concat([content.subarray(0, -1), Buffer.of(content.at(-1)! ^ 1)]);
	await assert.rejects(put(other, {}, sha256Of(content)), code('CHECKSUM_MISMATCH'));
	assert.deepEqual(await files(), []);
});

test('an upload that is cancelled, or whose bytes may be others the next time, leaves nothing', async () => {
	const abort = new AbortController();
	const cancelled = inChunks(content).on('data', () => {
		if (sent > size / 2) abort.abort();
	});
	cancelled.pause();
	const options = { size, resumable: { sha256: sha256Of(content) }, signal: abort.signal };
	await assert.rejects(storage.put('shop.tar', cancelled, options), { name: 'AbortError' });
	assert.deepEqual(await files(), []);
	// What the first try has kept goes as well.
	await breakAt(size / 2);
	await assert.rejects(storage.put('shop.tar', failing(), { ...options, signal: undefined }), /source/);
	assert.deepEqual(await files(), []);
});

function failing(): Readable {
	return Readable.from(
		(function* () {
			yield content.subarray(0, MiB);
			throw new Error('The source ended');
		})(),
	);
}

test('an upload of another run that is under way is not touched', async () => {
	let release = () => {};
	const held = new Promise<void>((resolve) => (release = resolve));
	const paused = Readable.from(
		(async function* () {
			yield content.subarray(0, size / 2);
			await held;
			yield content.subarray(size / 2);
		})(),
	);
	const first = storage.put('shop.tar', paused, { size, resumable: { sha256: sha256Of(content) } });
	for (const deadline = Date.now() + 10_000; (await files()).length === 0; await sleep(20))
		assert.ok(Date.now() < deadline);
	await put();
	release();
	await assert.rejects(first, code('ALREADY_EXISTS'));
	assert.ok(content.equals(await stored()));
	assert.deepEqual(await files(), ['shop.tar']);
});

test('what a run elsewhere has left is taken up once nothing was written for long', async () => {
	const left = await breakAt((size * 2) / 3);
	const elsewhere = left.replace(/\.[0-9a-f]{16}-/, `.${'0'.repeat(16)}-`).replace(/-\d+-/, '-$&1-');
	const foreign = elsewhere.replace(/[0-9a-f]{8}-(?=[0-9a-f]{4}-)/, '01234567-');
	await rename(join(folder, left), join(folder, foreign));
	assert.ok((await sentBy(put)) > size);
	assert.deepEqual(await files(), [foreign, 'shop.tar']);
	const longAgo = Date.now() / 1000 - 21 * 60;
	await utimes(join(folder, foreign), longAgo, longAgo);
	assert.ok((await sentBy(() => put(content, { ifExists: 'replace' }))) < size / 2);
	assert.ok(content.equals(await stored()));
	assert.deepEqual(await files(), ['shop.tar']);
});

test('a file that was published is not written to, though its temporary name is still there', async () => {
	const left = await breakAt((size * 2) / 3);
	await writeFile(join(folder, left), content);
	await link(join(folder, left), join(folder, 'shop.tar'));
	const { ino } = await stat(join(folder, 'shop.tar'));
	await put(content, { ifExists: 'replace' });
	assert.notEqual((await stat(join(folder, 'shop.tar'))).ino, ino);
	assert.ok(content.equals(await stored()));
	assert.deepEqual(await files(), ['shop.tar']);
});

test('a backup goes on where it stopped, and is proven whole', async () => {
	const backup = await stagedBackup(content);
	await storage.stat('connected');
	const start = sent;
	fault = (all) => (all - start >= size / 2 ? 'cut' : undefined);
	await assert.rejects(storeBackup(storage, backup, { key: 'shop.tar' }), code('CONNECTION_FAILED'));
	fault = () => undefined;
	let method: string | undefined;
	const rest = await sentBy(async () => {
		({ method } = (await storeBackup(storage, backup, { key: 'shop.tar' })).proof);
	});
	assert.ok(rest < size / 2 + slack, `${rest} bytes were sent again`);
	assert.equal(method, 'read-back');
	assert.deepEqual(await files(), ['shop.tar', 'shop.tar.manifest.json', 'shop.tar.sha256']);
});
