import assert from 'node:assert/strict';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { startFaultProxy } from '../servers/fault-proxy';
import { makeCertificate, type Certificate } from '../servers/certificate';
import { startApache, startNginx, type WebDavServer } from '../servers/webdav';

import { runWorkflow, type WorkflowRun } from './engine';
import { createFiles, describeFiles, staged, temporaryFolder } from './fixtures';
import { testCredential } from './node-methods';

describe('a WebDAV server as destination, through the nodes', () => {
	let apache: WebDavServer;
	let tls: WebDavServer;
	let certificate: Certificate;
	let folder: Awaited<ReturnType<typeof temporaryFolder>>;

	before(async () => {
		certificate = await makeCertificate();
		[apache, tls, folder] = await Promise.all([
			startApache(),
			startNginx({ tls: certificate }),
			temporaryFolder(),
		]);
		await createFiles(join(folder.path));
	});

	after(async () => {
		await Promise.all([apache?.stop(), tls?.stop(), folder?.remove(), certificate?.remove()]);
	});

	const webDav = () => ({
		...{ url: tls.url, user: tls.user, password: tls.password },
		...{ caCertificate: certificate.pem.replaceAll('\n', ' '), ignoreSSLIssues: false },
	});

	const run = async (nodes: WorkflowRun['nodes'], change: object = {}) =>
		await runWorkflow({
			allowedFolders: [folder.path],
			credentials: {
				lifeboatWebDavApi: { ...webDav(), ...change },
				nextCloudApi: { webDavUrl: apache.url, user: apache.user, password: apache.password, ...change },
			},
			nodes,
		});

	const archive = () => ({
		type: 'archiveFiles',
		parameters: { operation: 'files', paths: join(folder.path, 'a'), name: 'files' },
	});

	for (const storage of ['nextcloud', 'webDav']) {
		test(`up, listed, down, from ${storage}`, async () => {
			const server = storage === 'webDav' ? tls : apache;
			const at = (more: object = {}) => ({ storage, folder: 'from n8n', prefix: 'nightly', ...more });
			(await run([archive(), { type: 'upload', parameters: at() }])).assertSuccess();
			const stored = join(server.folder, 'from n8n/nightly');
			const names = (await readdir(stored)).sort();
			assert.equal(names.length, 3);
			const [listed, ...others] = (await run([{ type: 'upload', parameters: at({ operation: 'list' }) }]))
				.assertSuccess()
				.json('upload');
			assert.equal(others.length, 0);
			assert.equal(listed!.key, `nightly/${names[0]}`);
			const download = { type: 'upload', name: 'download', parameters: at({ operation: 'download' }) };
			const target = join(folder.path, `restored-${storage}`);
			const restore = {
				type: 'restore',
				parameters: { operation: 'files', targetFolder: target },
			};
			(await run([download, restore])).assertSuccess();
			assert.ok((await describeFiles(target)).length > 0);
			assert.deepEqual(await staged(folder.path), []);

			const path = join(stored, names[0]!);
			const bytes = await readFile(path);
			bytes[bytes.length >> 1]! ^= 1;
			await writeFile(path, bytes);
			const damaged = await run([download]);
			assert.match(damaged.error!.message, /files-.*damaged/);
			assert.deepEqual(await staged(folder.path), []);
		});
	}

	test('a wrong password and a server that is not there fail with words, and without the password', async () => {
		for (const [change, message] of [
			[{ password: 'not-the-password' }, /did not accept user and password/],
			[{ url: 'http://127.0.0.1:1/dav' }, /127\.0\.0\.1:1.*nothing answers/],
			[{ caCertificate: '' }, /certificate/],
		] as const) {
			const result = await run([archive(), { type: 'upload', parameters: { storage: 'webDav' } }], change);
			assert.equal(result.status, 'error');
			assert.match(result.error!.message, message);
			assert.doesNotMatch(`${result.error!.message} ${result.error!.description}`, /ECONN|undefined/);
			assert.ok(!result.error!.text.includes(tls.password));
			assert.ok(!result.error!.text.includes('not-the-password'));
			assert.deepEqual(await staged(folder.path), []);
		}
	});

	test('the credential’s test writes, reads and deletes, and tells what fails', async () => {
		const tried = (change: object = {}) =>
			testCredential('upload', 'lifeboatWebDavApi', { ...webDav(), ...change });
		const before = await readdir(tls.folder);
		assert.equal((await tried()).status, 'OK');
		assert.deepEqual(await readdir(tls.folder), before);
		for (const change of [{ password: 'wrong' }, { url: `${tls.url}missing` }, { url: 'no address' }]) {
			const { status, message } = await tried(change);
			assert.equal(status, 'Error');
			assert.match(message, /WebDAV/);
		}
		const proxy = await startFaultProxy(apache.url);
		proxy.onExchange = ({ method }) => (method === 'GET' ? { kind: 'flip-response', at: 3 } : undefined);
		const { user, password } = apache;
		const lying = await tried({ url: proxy.endpoint, user, password, caCertificate: '' });
		assert.deepEqual([lying.status, /not come back the same/.test(lying.message)], ['Error', true]);
		await proxy.stop();
	});
});
