import assert from 'node:assert/strict';
import { mkdir, rm, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { NodeHelpers, type IDataObject } from 'n8n-workflow';

import { localStorage } from '../../lib/storage/local/local-storage';
import { writePin } from '../../lib/storage/backups';
import { putBackup } from '../lib/retention/stored-backups';

import { runWorkflow } from './engine';
import { temporaryFolder } from './fixtures';
import { listSearch } from './node-methods';
import { nodePackage } from './package-loader';

describe('choosing a stored backup', () => {
	let folder: Awaited<ReturnType<typeof temporaryFolder>>;
	let place: { storage: string; folder: string; prefix: string };

	before(async () => {
		folder = await temporaryFolder();
		process.env.N8N_RESTRICT_FILE_ACCESS_TO = folder.path;
		place = { storage: 'local', folder: join(folder.path, 'backups'), prefix: 'shop' };
		await mkdir(place.folder);
		const storage = localStorage({ folder: place.folder });
		for (const day of ['18', '19', '20']) {
			await putBackup(storage, `shop/${day}.tar`, `2026-11-${day}T02:00:00Z`);
		}
		await putBackup(storage, 'other/elsewhere.tar', '2026-11-21T02:00:00Z');
		await writePin(storage, 'shop/19.tar', { backupId: 'shop/19.tar', pinnedAt: '2026-11-19T03:00:00Z' });
		await rm(join(place.folder, 'shop/18.tar'));
	});

	after(async () => {
		delete process.env.N8N_RESTRICT_FILE_ACCESS_TO;
		await folder?.remove();
	});

	const download = async (parameters: IDataObject, timezone = 'UTC') =>
		await runWorkflow({
			allowedFolders: [folder.path],
			nodes: [{ type: 'upload', parameters: { operation: 'download', ...place, ...parameters } }],
			settings: { timezone },
		});
	const keyOf = async (parameters: IDataObject, timezone?: string) => {
		const [json] = (await download(parameters, timezone)).assertSuccess().json('upload');
		return (json!.from as IDataObject).key;
	};

	test('the list shows what lies under the prefix, the newest first, and what is wrong last', async () => {
		const node = (type: string, parameters: IDataObject) => ({
			type,
			parameters: { ...place, ...parameters },
		});
		const expected = [
			['shop/20.tar', /^shop \(files\), 2026-11-20 02:00 UTC, 22 bytes$/],
			['shop/19.tar', /^shop \(files\), 2026-11-19 02:00 UTC, 22 bytes, pinned$/],
			['shop/18.tar', /^shop \(files\), 2026-11-18 02:00 UTC, .*missing/],
		] as const;
		for (const [type, parameters] of [
			['upload', { operation: 'download', select: 'key' }],
			['upload', { operation: 'delete' }],
			['encrypt', { operation: 'reencrypt', backupSource: 'stored' }],
		] as const) {
			const { results } = await listSearch(node(type, parameters), 'listStoredBackups');
			assert.deepEqual(
				results.map(({ value }) => value),
				expected.map(([key]) => key),
			);
			for (const [at, [, name]] of expected.entries()) assert.match(results[at]!.name, name);
		}
		const found = await listSearch(node('upload', { operation: 'delete' }), 'listStoredBackups', 'PINNED');
		assert.deepEqual(
			found.results.map(({ value }) => value),
			['shop/19.tar'],
		);
	});

	test("the list keeps to n8n's rules for files", async () => {
		const parameters = { ...place, folder: '/etc', operation: 'delete' };
		await assert.rejects(listSearch({ type: 'upload', parameters }, 'listStoredBackups'), {
			message: 'n8n does not allow access to /etc',
		});
	});

	test('the list tells what it lacks: a credential, a value of an expression', async () => {
		const list = async (parameters: IDataObject) =>
			await listSearch(
				{ type: 'upload', parameters: { operation: 'delete', ...parameters } },
				'listStoredBackups',
			);
		await assert.rejects(list({ storage: 's3', bucket: 'acme' }), {
			message: 'No credential is chosen for S3-Compatible Storage',
		});
		await assert.rejects(
			list({ storage: 'local', folder: '={{ $json.folder }}' }),
			/^NodeOperationError: An expression in a field of this node gives no value/,
		);
	});

	test("n8n's panel asks for the list where the storage takes no credential", async () => {
		const loader = await nodePackage();
		for (const type of ['upload', 'encrypt', 'verifyChecksum']) {
			const { description } = NodeHelpers.getVersionedNodeType(loader.getNode(type).type);
			const pickers = description.properties.filter(
				({ name, type: shape }) => name === 'key' && shape === 'resourceLocator',
			);
			assert.ok(pickers.length > 0, type);
			for (const { modes } of pickers) {
				assert.equal(modes![0]!.typeOptions!.skipCredentialsCheckInRLC, true, type);
			}
		}
	});

	test('what was chosen from the list is downloaded, and so is a key', async () => {
		const key = 'shop/19.tar';
		const chosen = { __rl: true, mode: 'list', value: key, cachedResultName: 'shop, 2026-11-19' };
		assert.equal(await keyOf({ select: 'key', key: chosen }), key);
		assert.equal(
			await keyOf({ select: 'key', key: { __rl: true, mode: 'key', value: `={{ "${key}" }}` } }),
			key,
		);
		assert.equal(await keyOf({ select: 'key', key }), key);
		const none = await download({ select: 'key', key: { __rl: true, mode: 'key', value: '={{ "" }}' } });
		assert.match(none.error!.message, /Stored Backup/);
	});

	test('a backup that a wrong clock dated is not the newest for years to come', async () => {
		const prefix = 'clocks';
		const storage = localStorage({ folder: place.folder });
		await putBackup(storage, `${prefix}/good.tar`, '2026-11-20T02:00:00Z');
		await putBackup(storage, `${prefix}/future.tar`, '2036-11-20T02:00:00Z');
		await putBackup(storage, `${prefix}/stored-before.tar`, '2026-11-20T03:00:00Z');
		const before = new Date('2026-11-01T00:00:00Z');
		await utimes(join(place.folder, prefix, 'stored-before.tar'), before, before);
		const result = await download({ prefix });
		const [json] = result.assertSuccess().json('upload');
		assert.equal((json!.from as IDataObject).key, 'clocks/good.tar');
		assert.match(result.node('upload').hints[0]!.message, /future\.tar \(dated wrongly, 2036-/);
		assert.match(result.node('upload').hints[0]!.message, /stored-before\.tar \(dated wrongly/);
	});

	test('the newest of several jobs is taken of none, until one is named', async () => {
		const storage = localStorage({ folder: place.folder });
		const put = async (name: string, kind: 'bundle' | 'database' | 'files', day: number) =>
			await putBackup(storage, `jobs/${name}-${kind}`, `2026-11-${day}T02:00:00Z`, { name, kind });
		await put('shop', 'bundle', 18);
		await put('shop', 'database', 20);
		await put('blog', 'files', 19);
		const [prefix, backupName] = ['jobs', 'shop'];

		const all = await download({ prefix });
		assert.match(
			all.error!.message,
			/several jobs under "jobs\/" in .*: blog \(files\), shop \(bundle\), shop \(database\)$/,
		);
		assert.match(all.error!.description!, /Fill in Backup Name/);
		const kinds = await download({ prefix, backupName });
		assert.match(kinds.error!.message, /: shop \(bundle\), shop \(database\)$/);
		assert.match(kinds.error!.description!, /Choose the Kind/);

		assert.equal(await keyOf({ prefix, backupName: 'blog' }), 'jobs/blog-files');
		assert.equal(await keyOf({ prefix, backupName, backupKind: 'bundle' }), 'jobs/shop-bundle');
		assert.equal(await keyOf({ prefix, backupKind: 'files' }), 'jobs/blog-files');
		const none = await download({ prefix, backupName, backupKind: 'files' });
		assert.match(none.error!.message, /no backup of the kind files named "shop" under "jobs\/"/);
		// A copy is of one backup, too.
		const copied = await runWorkflow({
			allowedFolders: [folder.path],
			nodes: [
				{
					type: 'upload',
					parameters: {
						...{ operation: 'copy', ...place, prefix, targetStorage: 'local' },
						...{ targetFolder: place.folder, targetPrefix: 'copies' },
					},
				},
			],
		});
		assert.match(copied.error!.message, /several jobs/);
	});

	test('the newest made before a time is taken, in the time zone of the workflow', async () => {
		assert.equal(await keyOf({}), 'shop/20.tar');
		assert.equal(await keyOf({ madeBefore: '2026-11-20T02:00:00' }), 'shop/19.tar');
		assert.equal(await keyOf({ madeBefore: '2026-11-20T02:00:01' }), 'shop/20.tar');
		assert.equal(await keyOf({ madeBefore: '2026-11-20T02:30:00' }, 'Europe/Berlin'), 'shop/19.tar');
		assert.equal(
			await keyOf({ madeBefore: '={{ DateTime.fromISO("2026-11-20T02:30:00Z") }}' }),
			'shop/20.tar',
		);
		assert.equal(await keyOf({ madeBefore: '={{ new Date("2026-11-20") }}' }), 'shop/19.tar');
		const none = await download({ madeBefore: '2026-11-17' });
		assert.match(none.error!.message, /no backup made before 2026-11-17T00:00:00.000Z under "shop\/"/);
		const nonsense = await download({ madeBefore: 'last Tuesday' });
		assert.match(nonsense.error!.message, /Made Before holds no time: "last Tuesday"/);
	});
});
