import assert from 'node:assert/strict';
import { open, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import type { IDataObject } from 'n8n-workflow';

import { createAgeIdentity } from '../../lib/encryption/encryption';

import { folderFor, runExample, type ExampleRun } from './example-workflow';
import { describeDatabase, describeFiles, sql, staged } from './fixtures';
import { dump, openShop, type Shop } from './shop';
import { exampleWorkflows, type WorkflowName } from '../../demo/workflow-files';

describe('the example workflows, as they are published', () => {
	let shop: Shop;

	before(async () => {
		shop = await openShop();
		(await run('nightly-backup')).assertSuccess();
	});
	after(async () => {
		await shop?.close();
	});

	const run = async (name: WorkflowName, how: ExampleRun = {}) => await runExample(shop, name, how);
	/** The files of backups under a prefix, of which those beside a backup are told by their ends. */
	const stored = async (prefix: string, storage = 'local') =>
		(await readdir(join(folderFor(shop, storage), prefix), { recursive: true })).sort();
	const backups = async (prefix: string, storage?: string) =>
		(await stored(prefix, storage)).filter((name) => /\.(age|zst|dump|tar)$/.test(name));
	const proof = async () => {
		const name = (await stored('shop')).find((each) => each.endsWith('.proof.json'))!;
		return JSON.parse(await readFile(join(folderFor(shop, 'local'), 'shop', name), 'utf8')) as {
			passed: boolean;
		};
	};
	const count = async (what: string, database = 'shop') =>
		Number((await sql(shop.server, database, `SELECT count(*) FROM ${what}`))[0]![0]);
	/** Quicker than the PostgreSQL inside n8n, which one of the tests starts. */
	const onServer = { scratch: 'server' };
	const wrongCheck = {
		...onServer,
		sqlChecks: { check: [{ name: 'Orders', sql: 'SELECT count(*) > 1000000 FROM orders' }] },
	};

	test('all of them are told of in the README beside them', async () => {
		const folder = join(__dirname, '../../workflows');
		const files = (await readdir(folder)).filter((name) => name.endsWith('.json')).sort();
		assert.deepEqual(files, exampleWorkflows.map((name) => `${name}.json`).sort());
		const text = await readFile(join(folder, 'README.md'), 'utf8');
		const links = [...text.matchAll(/\]\(([^)]+)\)/g)].map(([, link]) => link!);
		assert.deepEqual(links.sort(), files);
	});

	test('nightly-backup stores one encrypted bundle, and deletes nothing yet', async () => {
		assert.equal((await stored('shop')).length, 3);
		assert.match((await backups('shop'))[0]!, /^shop-\d{8}T\d{6}Z\.tar\.age$/);
	});

	test('weekly-restore-test reports what was restored, and leaves the proof beside it', async () => {
		const result = (await run('weekly-restore-test')).assertSuccess();
		assert.equal(result.ran('Raise Alarm'), false);
		assert.match(result.json('Report')[0]!.proof as string, /^shop: restored in [\d.]+ s .* checks passed$/);
		const [json] = result.json('Restore Test') as [{ verification: { checks: { name: string }[] } }];
		assert.ok(json.verification.checks.some(({ name }) => name.endsWith(': Orders')));
		assert.equal((await proof()).passed, true);
	});

	test('weekly-restore-test raises the alarm for a backup in which what must be true is not', async () => {
		const result = await run('weekly-restore-test', { parameters: { 'Restore Test': wrongCheck } });
		assert.equal(result.assertSuccess().ran('Report'), false);
		const [json] = result.json('Raise Alarm') as [{ error: string; details: string }];
		assert.match(json.error, /Orders: it is f/);
		assert.match(json.details, /Keep older backups/);
		assert.equal((await proof()).passed, false);
	});

	test('rebuild-server brings back database and files', async () => {
		const targetDatabase = { __rl: true, mode: 'name', value: 'rebuilt' };
		const original = await describeFiles(shop.uploads);
		(await run('rebuild-server', { parameters: { 'Restore Database': { targetDatabase } } })).assertSuccess();
		assert.equal(await count('orders', 'rebuilt'), 2000);
		assert.deepEqual(await describeFiles(join(shop.folder, 'restored')), original);
	});

	test('refresh-staging swaps in masked data; a failure leaves what was there', async () => {
		const databases = Object.fromEntries([
			...['Remove Leftovers', 'Make Room', 'Swap'].map((name) => [name, 'postgres']),
			['Mask', 'staging_next'],
		]) as Record<string, string>;
		await sql(shop.server, 'postgres', 'CREATE DATABASE staging');
		await sql(shop.server, 'staging', 'CREATE TABLE yesterday (a int)');
		const yesterday = await describeDatabase(shop.server, 'staging');
		const failed = await run('refresh-staging', {
			...{ databases, parameters: { 'Get Newest Backup': { prefix: 'nowhere' } } },
		});
		assert.equal(failed.assertSuccess().ran('Swap'), false);
		assert.match((failed.json('Answer 500') as [{ error: string }])[0].error, /no backup named "shop"/);
		assert.equal(await describeDatabase(shop.server, 'staging'), yesterday);

		const result = (await run('refresh-staging', { databases })).assertSuccess();
		assert.equal((result.json('Answer 200') as [{ restored: { rows: number } }])[0].restored.rows, 2200);
		assert.equal(await count("customers WHERE name LIKE 'Customer %'", 'staging'), 200);
		assert.equal(await describeDatabase(shop.server, 'staging_before'), yesterday);
	});

	test('before-update answers 200 once the backup is proven and stored', async () => {
		const result = (await run('before-update', { parameters: { 'Restore Test': onServer } })).assertSuccess();
		assert.equal(result.ran('Answer 500'), false);
		const [body] = result.json('Answer 200') as [{ backup: string; restoredInSeconds: number }];
		assert.deepEqual(await backups('before-update'), [body.backup.replace('before-update/', '')]);
		assert.ok(body.restoredInSeconds > 0);
		const [{ manifest }] = result.json('Upload') as [{ manifest: { tags: string[] } }];
		assert.deepEqual(manifest.tags, ['before-update']);
	});

	test('before-update answers 500 with the reason, and stores nothing, if the backup is not as it must be', async () => {
		const before = await stored('before-update');
		const result = await run('before-update', { parameters: { 'Restore Test': wrongCheck } });
		assert.equal(result.assertSuccess().ran('Answer 200'), false);
		const [body] = result.json('Answer 500') as [{ error: string; hint: string }];
		assert.match(body.error, /Orders/);
		assert.ok(body.hint);
		assert.deepEqual(await stored('before-update'), before);
	});

	test('restore-one-table shows what is missing beside the live table, and takes it over when it is told to', async () => {
		await sql(
			shop.server,
			'shop',
			'DELETE FROM orders WHERE id <= 7',
			'UPDATE orders SET total = -1 WHERE id = 8',
		);
		const now = { 'Get Backup From Before': { madeBefore: '={{ $now }}' } };
		const look = (await run('restore-one-table', { parameters: now })).assertSuccess();
		assert.equal(look.json('What Is Missing').length, 8);
		assert.equal(await count('orders'), 1993);
		await sql(shop.server, 'shop', 'DROP SCHEMA restored CASCADE');
		const switchedOn = ['Take Over', 'Clean Up'];
		(await run('restore-one-table', { parameters: now, switchedOn })).assertSuccess();
		assert.equal(await count('orders'), 2000);
		assert.equal(await count('orders WHERE total = -1'), 1, 'rows that are there stay as they are');
		assert.equal(await count("pg_namespace WHERE nspname = 'restored'"), 0);
	});

	test('three-copies stores the same bytes in three places', async () => {
		const result = (await run('three-copies')).assertSuccess();
		assert.equal(result.ran('Tell'), false);
		const kinds = ['local', 'aws', 'sftp'];
		const contents = await Promise.all(
			kinds.map(async (kind) => {
				const name = (await backups('shop', kind)).find((each) => each.endsWith('.sql.zst.age'))!;
				return (await readFile(join(folderFor(shop, kind), 'shop', name))).toString('base64');
			}),
		);
		assert.equal(new Set(contents).size, 1);
		for (const name of ['NAS', 'Bucket', 'Other House']) {
			assert.equal(result.json(`Thin Out ${name}`).at(-1)!.toDelete, 0);
		}
	});

	test('three-copies tells of a place that fails, and stores the other copies all the same', async () => {
		const before = (await backups('shop', 'sftp')).length;
		await sleep(1000);
		const result = await run('three-copies', { parameters: { 'Upload to NAS': { folder: '/mnt/nas' } } });
		const told = result.assertSuccess().json('Tell');
		assert.equal(told.length, 1);
		assert.match(told[0]!.error as string, /does not allow access to \/mnt\/nas/);
		assert.equal((await backups('shop', 'sftp')).length, before + 1);
	});

	test('whole-server makes each database a job of its own, and tells of one that cannot be dumped', async () => {
		await sql(shop.server, 'postgres', 'CREATE DATABASE closed ALLOW_CONNECTIONS false');
		const result = (await run('whole-server')).assertSuccess();
		assert.match(result.json('Tell')[0]!.error as string, /^Database closed: it can't be dumped/);
		const databases = `SELECT datname FROM pg_database WHERE datallowconn AND NOT datistemplate`;
		const names = ['globals', ...(await sql(shop.server, 'postgres', databases)).flat()].map(String).sort();
		assert.deepEqual(
			result
				.json('Apply Retention')
				.map(({ name }) => name)
				.sort(),
			names,
		);
		assert.deepEqual((await backups('db1')).map((key) => key.split('/')[0]).sort(), names);
		await sql(shop.server, 'postgres', 'DROP DATABASE closed');
	});

	test('monthly-audit makes a row of each backup: for which keys, and when it was proven', async () => {
		const result = (await run('monthly-audit')).assertSuccess();
		const rows = result.json('Send Email') as Record<string, string>[];
		assert.equal(rows.length, (await stored('')).filter((name) => name.endsWith('.manifest.json')).length);
		const nightly = rows.find((row) => row.Backup!.startsWith('shop/') && row.Backup!.endsWith('.tar.age'))!;
		assert.deepEqual(
			[
				nightly.Job,
				String(nightly['Age (days)']),
				nightly['Encrypted for'],
				nightly['Proven at'],
				nightly.Problem,
			],
			['shop', '0', shop.keys.recipient, '', ''],
		);
		assert.ok(Number(nightly['Size (MB)']) > 0);
	});

	test('move-house copies all backups and gives them the new key; what is damaged stops nothing else', async () => {
		const upload = (prefix: string) => ({
			type: 'upload',
			parameters: { storage: 'local', folder: folderFor(shop, 'aws'), prefix },
		});
		const old = folderFor(shop, 'aws');
		(await shop.run([dump, { type: 'encrypt' }, upload('whole')])).assertSuccess();
		(await shop.run([dump, { type: 'encrypt' }, upload('damaged')])).assertSuccess();
		const [damaged] = await backups('damaged', 'aws');
		const file = await open(join(old, 'damaged', damaged!), 'r+');
		await file.write(Buffer.from('X'), 0, 1, 500);
		await file.close();
		const before = await stored('', 'aws');
		const { recipient, identity } = await createAgeIdentity();
		const key = { recipients: recipient, identity: shop.keys.identity };
		Object.assign(shop.credentials.lifeboatEncryptionApi!, key);
		const result = (await run('move-house')).assertSuccess();
		Object.assign(shop.credentials.lifeboatEncryptionApi!, {
			...{ recipients: shop.keys.recipient, identity: [shop.keys.identity, identity].join('\n') },
		});
		const failed = result.json('Not All Went');
		assert.equal(failed.length, 1);
		assert.match(failed[0]!.error as string, /damaged/);
		const moved = result.json('Change the Key') as { manifest: { transformations: IDataObject[] } }[];
		assert.equal(moved.length, (await backups('', 'aws')).length - 1);
		for (const { manifest } of moved)
			assert.deepEqual(manifest.transformations.at(-1)!.recipients, [recipient]);
		assert.equal((await backups('', 's3')).length, moved.length);
		assert.deepEqual(await stored('', 'aws'), before, 'the old ones stay');
	});

	test('configuration-hourly keeps no more than its policy says', async () => {
		const keepOne = { 'Apply Retention': { rules: { keepLast: 1 } } };
		(await run('configuration-hourly')).assertSuccess();
		const [first] = await backups('configuration');
		await sleep(1000);
		(await run('configuration-hourly', { parameters: keepOne })).assertSuccess();
		const left = await backups('configuration');
		assert.equal(left.length, 1);
		assert.notEqual(left[0], first);
	});

	test('nothing stays staged', async () => {
		assert.deepEqual(await staged(shop.folder), []);
	});
});
