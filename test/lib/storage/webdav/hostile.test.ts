import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { connect, type AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { pipeline } from 'node:stream/promises';
import { createServer } from 'node:tls';

import type { Storage } from '../../../../lib/storage/storage';
import { webDavStorage } from '../../../../lib/storage/webdav/webdav-storage';
import { makeCertificate } from '../../../servers/certificate';
import { startFaultProxy, type FaultProxy } from '../../../servers/fault-proxy';
import { startApache, type WebDavServer } from '../../../servers/webdav';
import { code, inChunks, keysOf } from '../conformance';

const content = randomBytes(100_000);

/** An entry of an answer to PROPFIND. */
const entry = (path: string, size?: number) =>
	`<D:response><D:href>${path}</D:href><D:propstat><D:prop>${
		size === undefined
			? '<D:resourcetype><D:collection/></D:resourcetype>'
			: `<D:resourcetype/><D:getcontentlength>${size}</D:getcontentlength>`
	}</D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response>`;

const multistatus = (...entries: string[]) =>
	`<?xml version="1.0"?><D:multistatus xmlns:D="DAV:">${entries.join('')}</D:multistatus>`;

describe('a WebDAV server that does not tell the truth', () => {
	let server: WebDavServer;
	let proxy: FaultProxy;
	let storage: Storage;
	let folder: string;

	before(async () => {
		server = await startApache();
		proxy = await startFaultProxy(server.url);
	});
	after(async () => {
		await proxy.stop();
		await server.stop();
	});
	beforeEach(async () => {
		const settings = await server.settings();
		folder = `/${settings.folder}/`;
		storage = webDavStorage({ ...settings, url: proxy.endpoint, patience: 0 });
		await storage.put('sub/object', inChunks(content));
	});
	afterEach(async () => {
		proxy.onExchange = () => undefined;
		await storage.close();
	});

	/** Answers one question about a path. */
	function answerTo(method: string, path: string, status: number, body: string, headers = {}): void {
		let left = 1;
		proxy.onExchange = (exchange) => {
			if (exchange.method !== method || exchange.url !== path || left === 0) return undefined;
			left -= 1;
			return { kind: 'answer', status, body, headers };
		};
	}

	test('a list without the folder that was asked for is not taken for an empty one', async () => {
		answerTo('PROPFIND', `${folder}sub/`, 207, multistatus(entry(`${folder}sub/object`, 5)));
		await assert.rejects(keysOf(storage, ''), code('STORAGE_FAILED'));
		assert.deepEqual(await keysOf(storage, ''), ['sub/object']);
	});

	test('names that lead elsewhere are refused', async () => {
		for (const name of ['..', '.', '%2e%2e', 'a%2Fb', '']) {
			const list = multistatus(entry(`${folder}sub/`), entry(`${folder}sub/${name}/`));
			answerTo('PROPFIND', `${folder}sub/`, 207, list);
			await assert.rejects(keysOf(storage, ''), code('STORAGE_FAILED'), name);
		}
	});

	test('an answer with entities of its own is refused before they are expanded', async () => {
		const bomb = `<!DOCTYPE D [<!ENTITY a "${'x'.repeat(9000)}">]>`;
		const list = multistatus(entry(`${folder}sub/`), entry(`${folder}sub/${'&a;'.repeat(100_000)}`, 5));
		answerTo('PROPFIND', `${folder}sub/`, 207, list.replace('?>', `?>${bomb}`));
		await assert.rejects(keysOf(storage, ''), code('STORAGE_FAILED'));
	});

	test('an object of another size than the server tells is not handed out as that object', async () => {
		const path = `${folder}sub/object`;
		for (const size of [content.length - 1, content.length + 1]) {
			answerTo('PROPFIND', path, 207, multistatus(entry(path, size)));
			await assert.rejects(storage.get('sub/object'), code('INCOMPLETE'));
			answerTo('PROPFIND', path, 207, multistatus(entry(path, size)));
			await assert.rejects(storage.get('sub/object', { range: { start: 1, end: 9 } }), code('INCOMPLETE'));
		}
		assert.ok(content.equals(await buffer(await storage.get('sub/object'))));
	});

	test('a part that is smaller than what was asked for is not taken for it', async () => {
		const headers = { 'content-range': `bytes 0-3/${content.length}`, 'content-length': '4' };
		answerTo('GET', `${folder}sub/object`, 206, 'abcd', headers);
		await assert.rejects(storage.get('sub/object', { range: { start: 0, end: 9 } }), code('STORAGE_FAILED'));
	});

	test('a redirection to another host gets no login, and no byte', async () => {
		const other = await startFaultProxy(server.url);
		const asked: string[] = [];
		other.onExchange = ({ method }) => void asked.push(method);
		for (const method of ['PROPFIND', 'PUT', 'GET']) {
			proxy.onExchange = (exchange) =>
				exchange.method === method
					? { kind: 'answer', status: 307, headers: { location: `${other.endpoint}/stolen/` } }
					: undefined;
			await assert.rejects(
				method === 'GET' ? storage.get('sub/object') : storage.put('sub/new', inChunks(content)),
				code('STORAGE_FAILED'),
			);
		}
		assert.deepEqual(asked, []);
		await other.stop();
	});
});

test('a server behind a proxy that ends TLS takes uploads', async () => {
	const certificate = await makeCertificate();
	const server = await startApache();
	const port = Number(new URL(server.url).port);
	const tls = { cert: await readFile(certificate.cert), key: await readFile(certificate.key) };
	const proxy = createServer(tls, (socket) => {
		// It ends with either side, and that is all there is to it.
		pipeline(socket, connect(port, '127.0.0.1'), socket).catch(() => {});
	}).listen(0, '127.0.0.1');
	await once(proxy, 'listening');
	const url = `https://127.0.0.1:${(proxy.address() as AddressInfo).port}/`;
	const storage = webDavStorage({ ...(await server.settings()), url, ca: certificate.pem });
	try {
		for (const key of ['a', 'b']) await storage.put(key, inChunks(content));
		await storage.put('a', inChunks(content.subarray(1)), { ifExists: 'replace' });
		assert.deepEqual(await keysOf(storage, ''), ['a', 'b']);
		assert.ok(content.subarray(1).equals(await buffer(await storage.get('a'))));
	} finally {
		await storage.close();
		proxy.close();
		await server.stop();
		await certificate.remove();
	}
});
