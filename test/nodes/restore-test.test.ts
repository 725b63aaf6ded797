import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import type { INodeExecutionData } from 'n8n-workflow';

import { toRetentionBackup } from '../../lib/retention/backup';
import { listBackups } from '../../lib/storage/backups';
import { localStorage } from '../../lib/storage/local/local-storage';
import { sql, staged } from './fixtures';
import { dump, openShop, type Shop } from './shop';

describe('Restore Test', () => {
	let shop: Shop;

	before(async () => {
		shop = await openShop();
	});
	after(async () => {
		await shop?.close();
	});

	const run: Shop['run'] = async (...workflow) => await shop.run(...workflow);
	const place = (prefix: string) => ({ storage: 'local', folder: shop.destination, prefix });
	const upload = (prefix: string) => shop.upload(prefix);
	const download = (prefix: string) => shop.download(prefix);
	const restoreTest = (parameters: Record<string, unknown>) => ({
		type: 'verifyChecksum',
		parameters: { operation: 'restoreTest', ...parameters },
	});
	const check = (text: string, more = {}) => ({ check: [{ name: '', sql: text, expect: 'true', ...more }] });
	const proofIn = async (prefix: string) => {
		const name = (await readdir(join(shop.destination, prefix))).find((each) => each.endsWith('.proof.json'));
		if (!name) return undefined;
		return JSON.parse(await readFile(join(shop.destination, prefix, name), 'utf8')) as Record<
			string,
			unknown
		>;
	};
	const proven = async (prefix: string) => {
		const storage = localStorage({ folder: shop.destination });
		const found: unknown[] = [];
		for await (const backup of listBackups(storage, { prefix })) found.push(toRetentionBackup(backup).proven);
		return found;
	};
	const scratchDatabases = async () =>
		(
			await sql(shop.server, 'postgres', `SELECT datname FROM pg_database WHERE datname LIKE 'lifeboat%'`)
		).flat();

	test('an encrypted bundle of database and files, restored in process, is proven for retention', async () => {
		const bundle = { operation: 'bundle', name: 'nightly', paths: [join(shop.folder, 'uploads')] };
		(
			await run([dump, { type: 'archiveFiles', parameters: bundle }, { type: 'encrypt' }, upload('bundle')])
		).assertSuccess();
		assert.deepEqual(await proven('bundle'), [false]);
		const sqlChecks = check(`SELECT count(*) = 2000 FROM orders`);
		const result = await run([
			download('bundle'),
			restoreTest({ proof: 'storage', ...place('bundle'), sqlChecks }),
		]);
		const [json] = result.assertSuccess().json('verifyChecksum') as [Record<string, Record<string, unknown>>];
		const verification = json.verification!;
		assert.deepEqual(
			[verification.result, verification.level, verification.warnings],
			['passed', 'restores', []],
		);
		assert.match(verification.method as string, /^PostgreSQL 18\.\d+ in process, temporary folder$/);
		const checks = verification.checks as { name: string; passed: boolean }[];
		assert.ok(checks.length >= 5 && checks.every(({ passed }) => passed), JSON.stringify(checks));
		assert.ok((verification.recoverySeconds as number) > 0 && (verification.dataAgeSeconds as number) > 0);
		assert.deepEqual(Object.keys(json).sort(), ['artifact', 'from', 'manifest', 'verification']);
		assert.equal((await proofIn('bundle'))!.passed, true);
		assert.deepEqual(await proven('bundle'), [true]);
		assert.deepEqual(await staged(shop.folder), []);
	});

	test('a check that does not hold comes out of Failed, and is written down, too', async () => {
		(await run([dump, upload('server')])).assertSuccess();
		const test = restoreTest({
			...{ scratch: 'server', proof: 'storage', ...place('server') },
			sqlChecks: check('SELECT count(*) FROM orders', { name: 'Orders', expect: 'equals', value: '2001' }),
		});
		const alert = { name: 'Alert', run: (items: INodeExecutionData[]) => items };
		const to = (node: string) => [{ node, type: 'main' as const, index: 0 }];
		const connections = {
			Start: { main: [to('download')] },
			download: { main: [to('verifyChecksum')] },
			verifyChecksum: { main: [[], to('Alert')] },
		};
		const result = await run([download('server'), test, alert], { connections });
		const [json] = result.assertSuccess().json('Alert') as [Record<string, never>];
		assert.match(json.error!, /Orders: it is 2000, not 2001/);
		assert.deepEqual([json.result, json.level, json.code], ['failed', 'restores', 'CHECK_FAILED']);
		assert.match(json.method!, /scratch database on a PostgreSQL 15/);
		assert.equal((await proofIn('server'))!.passed, false);
		assert.deepEqual(await proven('server'), [false]);
		// It passes once the expectation is right, and the new proof takes the place of the old one.
		const right = check('SELECT count(*) FROM orders', { expect: 'equals', value: '2000' });
		const again = { ...test, parameters: { ...test.parameters, sqlChecks: right } };
		(await run([download('server'), again])).assertSuccess();
		assert.deepEqual(await proven('server'), [true]);
		assert.deepEqual(await scratchDatabases(), []);
	});

	test('a proof needs a stored backup to lie beside, which is found before anything is restored', async () => {
		const test = restoreTest({ scratch: 'server', proof: 'storage', ...place('nowhere') });
		const result = await run([dump, test]);
		assert.match(result.error!.message, /shop-.* is not under "nowhere\/"/);
		assert.deepEqual(await scratchDatabases(), []);
		// Behind Upload the item says where it lies.
		const stored = restoreTest({ scratch: 'server', proof: 'storage', ...place('direct') });
		(await run([dump, upload('direct'), stored])).assertSuccess();
		assert.deepEqual(await proven('direct'), [true]);
		// The same backup in other bytes: what lies there is not what would be tested.
		const other = await run([download('direct'), { type: 'encrypt' }, stored]);
		assert.match(other.error!.message, /shop-.* is not under "direct\/"/);
		assert.deepEqual(await proven('direct'), [true]);
	});

	test('a check without SQL, and a server that is not there, are errors', async () => {
		const empty = await run([dump, restoreTest({ scratch: 'server', sqlChecks: check(' ') })]);
		assert.match(empty.error!.message, /SQL check 1.* is empty/);
		const away = { ...shop.credentials.postgres!, port: 1 };
		const unreachable = await run([
			dump,
			{ ...restoreTest({ scratch: 'server' }), credentials: { postgres: away } },
		]);
		assert.match(unreachable.error!.message, /Connecting .* nothing accepts connections there/);
	});

	test('Stop drops the scratch database', async () => {
		await sql(shop.server, 'shop', 'CREATE TABLE many AS SELECT n FROM generate_series(1, 2000000) n');
		const stop = new AbortController();
		const running = run([dump, restoreTest({ scratch: 'server' })], { signal: stop.signal });
		for (;;) {
			if ((await scratchDatabases()).length > 0) break;
		}
		stop.abort();
		assert.equal((await running).status, 'canceled');
		for (const deadline = Date.now() + 5000; (await scratchDatabases()).length > 0;) {
			assert.ok(Date.now() < deadline, 'the scratch database is still there');
		}
	});
});
