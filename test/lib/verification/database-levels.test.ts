import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import type { TableRows } from '../../../lib/artifact/manifest';
import type { PostgresDumpOptions } from '../../../lib/databases/postgres';
import { serverScratch } from '../../../lib/databases/postgres/scratch/on-server';
import { checkBackup } from '../../../lib/verification/outcome';
import type { VerificationLevel } from '../../../lib/verification/report';
import { testRestore } from '../../../lib/verification/restore-test';
import { startPostgres, type PostgresServer } from '../../servers/postgres';

import { known, withBytes } from '../archive/helpers';
import { artifactOf } from '../artifact/samples';
import { dumpToFile } from '../databases/postgres/helpers';
import { createDatabase, psql } from '../databases/postgres/restore/server-tools';

import { compressed, decoder, forged, type Known } from './samples';

const levels: VerificationLevel[] = ['stored', 'readable', 'complete'];

/** The first level that fails when all up to one are checked, for each of them, and what is said of it. */
async function failing(backup: Known): Promise<{ levels: (string | undefined)[]; said: string }> {
	const outcomes = await Promise.all(levels.map((level) => checkBackup(backup, level, decoder)));
	const said = outcomes.map((outcome) => (outcome.passed ? '' : outcome.error.message)).at(-1)!;
	return { levels: outcomes.map((outcome) => (outcome.passed ? undefined : outcome.level)), said };
}

const PASSED = [undefined, undefined, undefined];
const INCOMPLETE = [undefined, undefined, 'complete'];

describe('a dump of a real database fails at the level that should notice, and not before', () => {
	let server: PostgresServer;
	let folder: string;
	before(async () => {
		folder = await mkdtemp(join(tmpdir(), 'lifeboat-levels-'));
		server = await startPostgres({ version: 15 });
		await createDatabase(server, 'shop');
		await psql(
			server,
			'shop',
			'CREATE TABLE orders (id int PRIMARY KEY, note text)',
			`INSERT INTO orders SELECT i, repeat('note ', 20) FROM generate_series(1, 500) i`,
			'CREATE TABLE "Odd ""name""" (a int)',
			'INSERT INTO "Odd ""name""" VALUES (1), (2)',
			'CREATE TABLE empty (a int)',
			'CREATE TABLE columnless ()',
			'INSERT INTO columnless DEFAULT VALUES',
			'CREATE TABLE parts (a int) PARTITION BY RANGE (a)',
			'CREATE TABLE part PARTITION OF parts FOR VALUES FROM (0) TO (10)',
			'INSERT INTO parts VALUES (1), (2), (3)',
		);
	});
	after(async () => {
		await server?.stop();
		await rm(folder, { recursive: true, force: true });
	});

	const dumped = async (options: PostgresDumpOptions): Promise<{ bytes: Buffer; tables: TableRows[] }> => {
		const file = join(folder, 'dump');
		const tables = await dumpToFile(server.connection('shop'), file, options);
		return { bytes: await readFile(file), tables };
	};
	const backupOf = async ({ bytes, tables }: { bytes: Buffer; tables: TableRows[] }, isCustom: boolean) => {
		const artifact = await known(
			artifactOf(bytes, {
				...{ kind: 'database', format: isCustom ? 'pg-custom' : 'plain-sql', extension: '.sql' },
				source: { type: 'database', engine: 'postgresql', serverVersion: '15', database: 'shop' },
			}),
		);
		return withBytes({ ...artifact.manifest, tables }, bytes);
	};

	for (const [name, options] of [
		['plain', { format: 'plain' }],
		['custom', { format: 'custom' }],
	] as const) {
		test(name, async () => {
			const whole = await dumped(options);
			const counts = new Map(whole.tables.map((table) => [table.name, table.rows]));
			assert.deepEqual([counts.get('orders'), counts.get('Odd "name"'), counts.get('empty')], [500, 2, 0]);
			const backup = await backupOf(whole, name !== 'plain');
			assert.deepEqual((await failing(backup)).levels, PASSED);
			assert.deepEqual((await failing(await compressed(backup))).levels, PASSED);

			const broken = Buffer.from(backup.bytes);
			broken[broken.length >> 1]! ^= 1;
			assert.deepEqual(
				(await failing(withBytes(backup.manifest, broken))).levels,
				levels.map(() => 'stored'),
			);

			// As if the dump itself had been short: whatever was hashed was hashed of that.
			const change = async (sql: string, changed: PostgresDumpOptions = options) => {
				await psql(server, 'shop', 'CREATE TABLE kept AS TABLE orders', sql);
				try {
					return await forged(backup, (await dumped(changed)).bytes);
				} finally {
					await psql(server, 'shop', 'TRUNCATE orders', 'INSERT INTO orders TABLE kept', 'DROP TABLE kept');
				}
			};
			const without: PostgresDumpOptions = { ...options, excludeTables: ['kept'] };
			const oneRow = await failing(await change('DELETE FROM orders WHERE id = 250', without));
			assert.deepEqual(oneRow.levels, INCOMPLETE);
			assert.match(oneRow.said, /public\.orders has 499 rows instead of 500/);
			const emptied = await failing(await change('TRUNCATE orders', without));
			assert.deepEqual(emptied.levels, INCOMPLETE);
			assert.match(emptied.said, /public\.orders has 0 rows instead of 500/);
			await psql(server, 'shop', 'INSERT INTO columnless DEFAULT VALUES');
			const columnless = await failing(await forged(backup, (await dumped(options)).bytes));
			await psql(server, 'shop', 'TRUNCATE columnless', 'INSERT INTO columnless DEFAULT VALUES');
			assert.deepEqual(columnless.levels, INCOMPLETE);
			assert.match(columnless.said, /public\.columnless has 2 rows instead of 1/);
			const skipped = { ...without, excludeTableData: ['orders'] };
			const leftOut = await failing(await change('SELECT', skipped));
			assert.deepEqual(leftOut.levels, INCOMPLETE, 'no trace of the rows at all');
			assert.match(leftOut.said, /public\.orders has 0 rows instead of 500/);
			const unknown = await failing(await change('SELECT'));
			assert.deepEqual(unknown.levels, INCOMPLETE);
			assert.match(unknown.said, /public\.kept has 500 rows, but is not in the manifest/);

			// A value that its table does not take: only a restore can tell.
			const readable = await dumped({ ...options, ...(name === 'custom' && { archiveCompression: 'none' }) });
			const twice = readable.bytes;
			const key = twice.indexOf('\n250\tnote');
			assert.ok(key > 0);
			twice.write('\n251\tnote', key);
			const unrestorable = await forged(backup, twice);
			assert.deepEqual((await failing(unrestorable)).levels, PASSED);
			const scratches = [serverScratch(server.connection('postgres'))];
			const tested = await testRestore(unrestorable, { decoder, scratches, folder });
			assert.deepEqual([tested.result, tested.level], ['failed', 'restores']);
			assert.match(tested.error!.message, /orders_pkey/);
			const restored = await testRestore(backup, { decoder, scratches, folder });
			assert.deepEqual([restored.result, restored.error], ['passed', undefined]);

			const other = await change(`UPDATE orders SET note = upper(note) WHERE id = 250`, without);
			const squeezed = await compressed(other);
			const value = withBytes({ ...squeezed.manifest, content: backup.manifest.content }, squeezed.bytes);
			assert.deepEqual((await failing(value)).levels, [undefined, 'readable', 'readable']);
		});
	}
});
