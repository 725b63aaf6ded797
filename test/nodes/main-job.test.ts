import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { readBinary, type WorkflowRun } from './engine';
import { describeDatabase, describeFiles, exec, sql, staged } from './fixtures';
import { dump, openShop, type Shop } from './shop';

describe('the main job, node by node through the real engine', () => {
	let shop: Shop;

	before(async () => {
		shop = await openShop();
	});
	after(async () => {
		await shop?.close();
	});

	const run = async ({ nodes, ...more }: Pick<WorkflowRun, 'nodes'> & Partial<WorkflowRun>) =>
		await shop.run(nodes, more);
	const upload = (prefix: string) => shop.upload(prefix);
	const download = (prefix: string) => shop.download(prefix);

	test('a bundle of database and files, encrypted, verified, stored, and back', async () => {
		const original = await describeDatabase(shop.server, 'shop');
		const files = await describeFiles(join(shop.folder, 'uploads'));
		const backup = await run({
			nodes: [
				dump,
				{
					type: 'archiveFiles',
					parameters: { operation: 'bundle', name: 'nightly', paths: [join(shop.folder, 'uploads')] },
				},
				{ type: 'encrypt' },
				{ type: 'verifyChecksum', parameters: { level: 'complete' } },
				upload('bundles'),
				{
					type: 'applyRetention',
					parameters: { storage: 'local', folder: shop.destination, prefix: 'bundles' },
				},
			],
		});
		backup.assertSuccess();
		assert.deepEqual(await staged(shop.folder), []);
		const [stored] = backup.json('upload') as [
			{ stored: { key: string; sha256: string }; manifest: { fileName: string } },
		];
		assert.match(stored.stored.key, /^bundles\/nightly-\d{8}T\d{6}Z\.tar\.age$/);
		assert.deepEqual((await readdir(join(shop.destination, 'bundles'))).sort(), [
			stored.manifest.fileName,
			`${stored.manifest.fileName}.manifest.json`,
			`${stored.manifest.fileName}.sha256`,
		]);
		await exec('sha256sum', ['--strict', '-c', `${stored.manifest.fileName}.sha256`], {
			cwd: join(shop.destination, 'bundles'),
		});
		const [decision] = backup.json('applyRetention');
		assert.deepEqual([decision!.action, decision!.deleted], ['keep', false]);

		await sql(shop.server, 'postgres', 'CREATE DATABASE again');
		const target = join(shop.folder, 'again');
		const restore = await run({
			nodes: [
				download('bundles'),
				{ type: 'restore', parameters: { operation: 'database', targetDatabase: 'again' } },
			],
		});
		restore.assertSuccess();
		const restoreFiles = await run({
			nodes: [
				download('bundles'),
				{ type: 'restore', parameters: { operation: 'files', targetFolder: target } },
			],
		});
		restoreFiles.assertSuccess();
		assert.equal(await describeDatabase(shop.server, 'again'), original);
		assert.deepEqual(await describeFiles(target), files);
		assert.deepEqual(await staged(shop.folder), []);
	});

	for (const handOver of ['file', 'binary'] as const) {
		for (const [compression, extension, command] of [
			['none', '', 'cat'],
			['gzip', '.gz', 'gzip -d'],
			['zstd', '.zst', 'zstd -d'],
		] as const) {
			test(`a dump with compression ${compression}, handed over as ${handOver}: psql restores it`, async () => {
				const database = `psql_${compression}_${handOver}`;
				const prefix = database;
				const result = await run({
					nodes: [{ ...dump, parameters: { ...dump.parameters, compression, handOver } }, upload(prefix)],
				});
				result.assertSuccess();
				const [{ manifest }] = result.json('upload') as [
					{ manifest: { fileName: string; tables: { rows: number }[] } },
				];
				assert.ok(manifest.fileName.endsWith(`.sql${extension}`));
				assert.equal(
					manifest.tables.reduce((sum, { rows }) => sum + rows, 0),
					2200,
				);
				await sql(shop.server, 'postgres', `CREATE DATABASE ${database}`);
				const file = join(shop.destination, prefix, manifest.fileName);
				await exec(
					'bash',
					['-c', `set -o pipefail; ${command} < '${file}' | psql -q -X -v ON_ERROR_STOP=1 -1`],
					{
						env: shop.server.env(database),
					},
				);
				assert.equal(
					await describeDatabase(shop.server, database),
					await describeDatabase(shop.server, 'shop'),
				);
				assert.deepEqual(await staged(shop.folder), []);
			});
		}
	}

	test("the age command opens what is encrypted for recipients, and the manifest's own commands restore it", async () => {
		const result = await run({ nodes: [dump, { type: 'encrypt' }, upload('age')] });
		result.assertSuccess();
		const [{ manifest }] = result.json('upload') as [
			{ manifest: { fileName: string; restoreCommands: string[] } },
		];
		const identity = join(shop.folder, 'identity.txt');
		await writeFile(identity, `${shop.keys.identity}\n`);
		await sql(shop.server, 'postgres', 'CREATE DATABASE by_hand');
		const commands = manifest.restoreCommands
			.join(' && ')
			.replace('<identity file>', identity)
			.replace('<empty database>', 'by_hand');
		await exec('bash', ['-e', '-o', 'pipefail', '-c', commands], {
			cwd: join(shop.destination, 'age'),
			env: shop.server.env('by_hand'),
		});
		assert.equal(await describeDatabase(shop.server, 'by_hand'), await describeDatabase(shop.server, 'shop'));
	});

	test('Decrypt gives back the very bytes that Encrypt took', async () => {
		for (const encryptFor of ['recipients', 'passphrase']) {
			const result = await run({
				nodes: [
					{ ...dump, parameters: { ...dump.parameters, handOver: 'binary' } },
					{ type: 'encrypt', parameters: { encryptFor } },
					{ type: 'encrypt', name: 'decrypt', parameters: { operation: 'decrypt', handOver: 'binary' } },
				],
			});
			result.assertSuccess();
			const bytes = async (node: string) => await readBinary(result.node(node).items[0]!.binary!.data!);
			assert.deepEqual(await bytes('decrypt'), await bytes('dumpDatabase'));
			const [{ manifest }] = result.json('encrypt') as [{ manifest: object }];
			assert.doesNotMatch(JSON.stringify(manifest), /correct horse|AGE-SECRET/);
		}
	});

	for (const compression of ['none', 'gzip', 'zstd']) {
		test(`a custom archive with compression ${compression} comes back${compression === 'zstd' ? '' : ', by pg_restore too'}`, async () => {
			const name = `custom_${compression}`;
			const custom = { ...dump, parameters: { name: 'shop', format: 'custom', compression } };
			(await run({ nodes: [custom, { type: 'encrypt' }, upload(name)] })).assertSuccess();
			const restore = { type: 'restore', parameters: { target: 'new', targetDatabase: name } };
			(await run({ nodes: [download(name), restore] })).assertSuccess();
			const original = await describeDatabase(shop.server, 'shop');
			assert.equal(await describeDatabase(shop.server, name), original);
			// PostgreSQL's own tool reads zstd from version 16 on.
			if (compression === 'zstd') return;
			const result = await run({ nodes: [custom, upload(`${name}_plain`)] });
			const [{ manifest }] = result.assertSuccess().json('upload') as [{ manifest: { fileName: string } }];
			assert.match(manifest.fileName, /\.dump$/);
			await sql(shop.server, 'postgres', `CREATE DATABASE ${name}_by_hand`);
			const file = join(shop.destination, `${name}_plain`, manifest.fileName);
			await exec('pg_restore', ['-1', '-d', `${name}_by_hand`, file], { env: shop.server.env() });
			assert.equal(await describeDatabase(shop.server, `${name}_by_hand`), original);
		});
	}

	test('a new database, and one in the place of another, which is kept', async () => {
		(await run({ nodes: [dump, upload('targets')] })).assertSuccess();
		const restore = (target: string, name: string, presentContent = 'keep') => ({
			nodes: [
				download('targets'),
				{ type: 'restore', parameters: { target, targetDatabase: name, presentContent } },
			],
		});
		const databases = async () =>
			(
				await sql(
					shop.server,
					'postgres',
					`SELECT datname FROM pg_database WHERE datname ~ '^fresh' ORDER BY 1`,
				)
			).flat();
		(await run(restore('new', 'fresh'))).assertSuccess();
		assert.equal(await describeDatabase(shop.server, 'fresh'), await describeDatabase(shop.server, 'shop'));
		const again = await run(restore('new', 'fresh'));
		assert.match(again.error!.message, /fresh/);
		await sql(shop.server, 'fresh', 'DELETE FROM orders', 'CREATE TABLE later (a int)');
		(await run(restore('swap', 'fresh'))).assertSuccess();
		assert.equal(await describeDatabase(shop.server, 'fresh'), await describeDatabase(shop.server, 'shop'));
		const kept = (await databases()).filter((name) => name !== 'fresh');
		assert.equal(kept.length, 1);
		assert.deepEqual(await sql(shop.server, String(kept[0]), 'SELECT count(*)::int FROM later'), [[0]]);
		(await run(restore('swap', 'fresh', 'drop'))).assertSuccess();
		assert.deepEqual(await databases(), ['fresh', ...kept]);
		assert.deepEqual(await staged(shop.folder), []);
	});

	test('one copy can be stored in two places', async () => {
		const result = await run({ nodes: [dump, upload('first'), { ...upload('second'), name: 'second' }] });
		result.assertSuccess();
		const [first] = await readdir(join(shop.destination, 'first'));
		assert.deepEqual(
			await readFile(join(shop.destination, 'first', first!)),
			await readFile(join(shop.destination, 'second', first!)),
		);
	});

	test('List tells of backups, newest first', async () => {
		await run({ nodes: [dump, upload('listed')] });
		await new Promise((resolve) => setTimeout(resolve, 1100));
		await run({ nodes: [dump, upload('listed')] });
		const result = await run({
			nodes: [
				{
					type: 'upload',
					parameters: { operation: 'list', storage: 'local', folder: shop.destination, prefix: 'listed' },
				},
			],
		});
		const items = result.assertSuccess().json('upload');
		assert.equal(items.length, 2);
		assert.ok((items[0]!.createdAt as string) > (items[1]!.createdAt as string));
		assert.deepEqual(
			[items[0]!.name, items[0]!.kind, items[0]!.rows, items[0]!.encrypted],
			['shop', 'database', 2200, false],
		);
	});

	test('Apply Retention deletes what no rule keeps, and only when told to', async () => {
		const prefix = 'thinned';
		for (let i = 0; i < 3; i++) {
			(await run({ nodes: [dump, upload(prefix)] })).assertSuccess();
			await new Promise((resolve) => setTimeout(resolve, 1100));
		}
		const parameters = {
			...{ storage: 'local', folder: shop.destination, prefix, policy: 'custom', rules: { keepLast: 2 } },
		};
		const dry = await run({ nodes: [{ type: 'applyRetention', parameters }] });
		assert.deepEqual(
			dry
				.assertSuccess()
				.json('applyRetention')
				.map(({ action, deleted }) => [action, deleted]),
			[
				['keep', false],
				['keep', false],
				['delete', false],
			],
		);
		assert.equal((await readdir(join(shop.destination, prefix))).length, 9);
		const every = {
			...{
				keepLast: 1,
				keepHourly: 1,
				keepDaily: 1,
				keepWeekly: 1,
				keepMonthly: 1,
				keepYearly: 1,
				keepDays: 1,
			},
			...{ keepWithin: '1h', keepWithinHourly: '1h', keepWithinDaily: '1d', keepWithinWeekly: '1d' },
			...{ keepWithinMonthly: '1m', keepWithinYearly: '1y', keepMinimum: 1, maxTotalGb: 1 },
		};
		const all = await run({
			nodes: [{ type: 'applyRetention', parameters: { ...parameters, rules: every } }],
		});
		assert.equal(all.assertSuccess().json('applyRetention').length, 3);
		const real = await run({
			nodes: [{ type: 'applyRetention', parameters: { ...parameters, mode: 'delete' } }],
		});
		assert.deepEqual(
			real
				.assertSuccess()
				.json('applyRetention')
				.map(({ deleted }) => deleted)
				.sort(),
			[false, false, true],
		);
		assert.equal((await readdir(join(shop.destination, prefix))).length, 6);
	});

	test('Create Checksum makes a file that sha256sum -c takes', async () => {
		const result = await run({
			nodes: [
				{ ...dump, parameters: { ...dump.parameters, handOver: 'binary' } },
				{ type: 'verifyChecksum', parameters: { operation: 'create' } },
			],
		});
		const { binary, json } = result.assertSuccess().node('verifyChecksum').items[0]!;
		const work = join(shop.folder, 'sums');
		await mkdir(work);
		const { fileName } = json.manifest as { fileName: string };
		await writeFile(join(work, fileName), await readBinary(binary!.data!));
		await writeFile(join(work, 'sum'), await readBinary(binary!.checksum!));
		await exec('sha256sum', ['--strict', '-c', 'sum'], { cwd: work });
	});

	test('an execution that waits keeps its staged backup', async () => {
		const waiting = await run({
			nodes: [
				dump,
				{
					name: 'Wait',
					async run(items, context) {
						await context.putExecutionToWait(new Date(Date.now() + 3_600_000));
						return items;
					},
				},
				upload('waited'),
			],
		});
		assert.equal(waiting.status, 'waiting');
		assert.equal((await staged(shop.folder)).length > 0, true);
		const resumed = await waiting.resume();
		resumed.assertSuccess();
		assert.equal((await readdir(join(shop.destination, 'waited'))).length, 3);
		await rm(join(shop.folder, 'lifeboat-staging'), { recursive: true, force: true });
	});
});
