import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';

import type { LifeboatError } from '../../../../lib/errors';
import { webDavStorage } from '../../../../lib/storage/webdav/webdav-storage';
import { makeCertificate, type Certificate } from '../../../servers/certificate';
import { startFaultProxy } from '../../../servers/fault-proxy';
import { freePort } from '../../../servers/ports';
import { startApache, startNginx, type WebDavServer } from '../../../servers/webdav';
import { code, inChunks, inParallel, keysOf } from '../conformance';

const content = randomBytes(3_000_000);

describe('how to reach a WebDAV server', () => {
	let basic: WebDavServer;
	let digest: WebDavServer;
	let tls: WebDavServer;
	let certificate: Certificate;

	before(async () => {
		certificate = await makeCertificate();
		[basic, digest, tls] = await Promise.all([
			startApache(),
			startApache({ login: 'digest' }),
			startNginx({ tls: certificate }),
		]);
	});
	after(async () => {
		await Promise.all([basic, digest, tls].map((server) => server.stop()));
		await certificate.remove();
	});

	test('Digest logs in, many at once, and never sends the password', async () => {
		const proxy = await startFaultProxy(digest.url);
		const settings = { ...(await digest.settings()), url: proxy.endpoint };
		const sent = new Set<string>();
		proxy.onExchange = ({ headers }) => {
			sent.add(headers.authorization?.split(' ')[0] ?? 'nothing');
			return undefined;
		};
		const storage = webDavStorage(settings);
		const keys = Array.from({ length: 30 }, (_, i) => `a ${i % 3}/größe ${i}`);
		await inParallel(10, keys, (key) => storage.put(key, inChunks(content.subarray(0, 100_000))));
		assert.equal((await keysOf(storage, '')).length, 30);
		assert.ok(content.subarray(0, 100_000).equals(await buffer(await storage.get(keys[3]!))));
		assert.deepEqual(sent, new Set(['nothing', 'Digest']));
		await storage.close();
		await proxy.stop();
	});

	test('a number of the server that has grown old does not spoil an upload', async () => {
		const short = await startApache({ login: 'digest', config: 'AuthDigestNonceLifetime 1' });
		const storage = webDavStorage(await short.settings());
		const slow = async function* () {
			for (let i = 0; i < 3; i += 1) {
				yield content.subarray(i * 1_000_000, (i + 1) * 1_000_000);
				await new Promise((resolve) => setTimeout(resolve, 1300));
			}
		};
		await storage.put('first', inChunks(content));
		await new Promise((resolve) => setTimeout(resolve, 2100));
		await storage.put('second', Readable.from(slow()));
		await storage.put('third', inChunks(content));
		for (const key of ['first', 'second', 'third']) {
			assert.ok(content.equals(await buffer(await storage.get(key))));
		}
		await storage.close();
		await short.stop();
	});

	test('a wrong password, none, and a wrong user are refused after one try, without a secret in the message', async () => {
		for (const server of [basic, digest]) {
			const proxy = await startFaultProxy(server.url);
			const settings = { ...(await server.settings()), url: proxy.endpoint };
			for (const login of [{ password: 'not-the-password' }, { user: 'nobody' }, { user: '' }]) {
				proxy.log.length = 0;
				const storage = webDavStorage({ ...settings, ...login });
				const source = inChunks(content);
				await assert.rejects(storage.put('key', source), (error: LifeboatError) => {
					assert.doesNotMatch(`${error.message} ${error.hint}`, /not-the-password|secret/);
					return code('ACCESS_DENIED')(error);
				});
				assert.ok(source.destroyed);
				assert.ok(proxy.log.length <= 2, proxy.log.join('; '));
				await assert.rejects(storage.get('key'), code('ACCESS_DENIED'));
				await assert.rejects(keysOf(storage, ''), code('ACCESS_DENIED'));
				await assert.rejects(storage.delete('key'), code('ACCESS_DENIED'));
				await storage.close();
			}
			await proxy.stop();
		}
	});

	test('a certificate is checked, against an authority of one’s own if there is one', async () => {
		const settings = await tls.settings();
		const refused = webDavStorage(settings);
		await assert.rejects(keysOf(refused, ''), (error: LifeboatError) => {
			assert.match(error.message, /certificate/);
			return code('CONNECTION_FAILED')(error);
		});
		for (const more of [{ ca: certificate.pem }, { ignoreTlsErrors: true }]) {
			const storage = webDavStorage({ ...settings, ...more });
			await storage.put('key', inChunks(content), { ifExists: 'replace' });
			assert.ok(content.equals(await buffer(await storage.get('key'))));
			await storage.close();
		}
		await refused.close();
	});

	test('an address that is none, or leads nowhere, or not to WebDAV, is told from an empty storage', async () => {
		for (const url of ['', 'cloud.example.com', 'ftp://host/', 'https://user:password@host/dav']) {
			assert.throws(() => webDavStorage({ url }), code('INVALID_OPTION'));
		}
		const settings = await basic.settings();
		const missing = webDavStorage({ ...settings, url: `${settings.url}no/such/folder` });
		const nobody = webDavStorage({ ...settings, url: `http://127.0.0.1:${await freePort()}/dav` });
		const website = createServer((request, response) => {
			request.resume();
			response.writeHead(200, { 'content-type': 'text/html' }).end('<html>Welcome</html>');
		}).listen(0, '127.0.0.1');
		await once(website, 'listening');
		const url = `http://127.0.0.1:${(website.address() as AddressInfo).port}/`;
		const noWebDav = webDavStorage({ url });
		for (const [storage, expected, message] of [
			[missing, 'STORAGE_FAILED', /There is no WebDAV folder at http:.*\/no\/such\/folder\//],
			[nobody, 'CONNECTION_FAILED', /nothing answers/],
			[noWebDav, 'STORAGE_FAILED', /does not speak WebDAV/],
		] as const) {
			const fails = (error: LifeboatError) => {
				assert.match(error.message, message);
				return code(expected)(error);
			};
			const all: Array<Promise<unknown>> = [keysOf(storage, ''), storage.stat('key'), storage.get('key')];
			all.push(storage.put('key', inChunks(content)));
			await Promise.all(all.map((each) => assert.rejects(each, fails)));
			await storage.close();
		}
		website.closeAllConnections();
		website.close();
	});

	test('an address that sends on is not followed, but told', async () => {
		const { port } = new URL(basic.url);
		const redirect = createServer((request, response) => {
			request.resume();
			response.writeHead(301, { location: `http://user:secret@127.0.0.1:${port}${request.url}` }).end();
		}).listen(0, '127.0.0.1');
		await once(redirect, 'listening');
		const url = `http://127.0.0.1:${(redirect.address() as AddressInfo).port}/`;
		const storage = webDavStorage({ ...(await basic.settings()), url });
		await assert.rejects(storage.put('key', inChunks(content)), (error: LifeboatError) => {
			assert.match(error.message, new RegExp(`the server sends on to http://127.0.0.1:${port}/`));
			assert.doesNotMatch(error.message, /secret/);
			return code('STORAGE_FAILED')(error);
		});
		await storage.close();
		redirect.closeAllConnections();
		redirect.close();
	});
});

describe('what lies on a WebDAV server', () => {
	let server: WebDavServer;
	before(async () => {
		server = await startApache();
	});
	after(() => server.stop());

	test('a key beyond a file, or with the name of a folder, or too long, is refused', async () => {
		const storage = webDavStorage(await server.settings());
		await storage.put('file', inChunks(content));
		await storage.put('folder/file', inChunks(content));
		for (const key of [
			'file/below',
			'file/far/below',
			'folder',
			'x'.repeat(256),
			`a/~lifeboat-1.unfinished`,
		]) {
			await assert.rejects(storage.put(key, inChunks(content)), code('INVALID_KEY'));
		}
		assert.throws(() => webDavStorage({ url: server.url, folder: '../up' }), code('INVALID_KEY'));
		assert.deepEqual(await keysOf(storage, ''), ['file', 'folder/file']);
		await storage.close();
	});

	test('deleting never takes a folder along', async () => {
		const storage = webDavStorage(await server.settings());
		await storage.put('folder/deep/file', inChunks(content));
		for (const key of ['folder', 'folder/deep']) await storage.delete(key);
		assert.deepEqual(await keysOf(storage, ''), ['folder/deep/file']);
		await storage.close();
	});

	test('a folder with 5,000 names that need escaping is listed whole', async () => {
		const settings = await server.settings();
		const folder = join(server.folder, settings.folder);
		await mkdir(folder, { recursive: true });
		const names = Array.from({ length: 5000 }, (_, i) => `a & b <${i}> 100% ${'ä'.repeat(i % 50)}`);
		await inParallel(50, names, (name) => writeFile(join(folder, name), ''));
		// Not UTF-8, so no key.
		await writeFile(Buffer.concat([Buffer.from(`${folder}/`), Buffer.from([0xff, 0xfe])]), '');
		const storage = webDavStorage(settings);
		assert.equal((await keysOf(storage, '')).length, 5000);
		assert.equal((await keysOf(storage, 'a & b <4')).length, 1111);
		await storage.close();
		await rm(folder, { recursive: true });
	});

	test('what is larger than the server takes is told, and nothing is left of it', async () => {
		const storage = webDavStorage(await server.settings());
		const limited = await startNginx({ config: 'client_max_body_size 1m;' });
		const small = webDavStorage(await limited.settings());
		await assert.rejects(
			small.put('key', inChunks(content), { size: content.length }),
			code('FILE_TOO_LARGE'),
		);
		await assert.rejects(small.put('key', inChunks(content)), code('FILE_TOO_LARGE'));
		await small.put('key', inChunks(content.subarray(0, 1000)));
		await storage.close();
		await small.close();
		await limited.stop();
	});

	test('the room that a server tells of is known, and an upload that does not fit refused before', async () => {
		const settings = await server.settings();
		const proxy = await startFaultProxy(server.url);
		const storage = webDavStorage({ ...settings, url: proxy.endpoint });
		const tell = (available: string) => {
			// As Nextcloud answers (RFC 4331).
			const quota = `<d:quota-available-bytes>${available}</d:quota-available-bytes><d:quota-used-bytes>1000</d:quota-used-bytes>`;
			const body = `<?xml version="1.0"?><d:multistatus xmlns:d="DAV:"><d:response><d:href>/</d:href><d:propstat><d:prop>${quota}</d:prop><d:status>HTTP/1.1 200 OK</d:status></d:propstat></d:response></d:multistatus>`;
			proxy.onExchange = ({ method, headers }) =>
				// The question for the room is shorter than that for what lies somewhere.
				method === 'PROPFIND' && Number(headers['content-length']) < 140
					? { kind: 'answer', status: 207, body }
					: undefined;
		};
		try {
			// This server doesn't tell.
			assert.equal(await storage.space!(), undefined);
			tell('2000000');
			assert.deepEqual(await storage.space!(), { freeBytes: 2_000_000, totalBytes: 2_001_000 });
			proxy.log.length = 0;
			await assert.rejects(
				storage.put('key', inChunks(content), { size: content.length }),
				(error: LifeboatError) => {
					assert.match(error.message, /has 2000000 bytes free, the backup needs 3000000/);
					return code('DISK_FULL')(error);
				},
			);
			assert.ok(!proxy.log.some((line) => line.startsWith('PUT')));
			// Nextcloud's word for no limit, and for one that it does not know.
			for (const unknown of ['-3', '-1']) {
				tell(unknown);
				assert.equal(await storage.space!(), undefined);
				await storage.put(`key ${unknown}`, inChunks(content), { size: content.length });
			}
		} finally {
			await storage.close();
			await proxy.stop();
		}
	});
});
