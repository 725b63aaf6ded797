import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { startPostgres, type PostgresServer } from '../servers/postgres';

import { runWorkflow } from './engine';
import { createShop, postgresCredential, sql, temporaryFolder } from './fixtures';
import { listSearch, loadOptions } from './node-methods';
import { progressLog } from '../../nodes/DumpDatabase/progress';

describe('Dump Database: its options', () => {
	let server: PostgresServer;
	let folder: Awaited<ReturnType<typeof temporaryFolder>>;
	const oddSchema = 'Lager* "x".y';
	const oddTable = 'a.b?|"c"; $1';

	before(async () => {
		[server, folder] = await Promise.all([startPostgres({ version: 18 }), temporaryFolder()]);
		await createShop(server, 'shop', 500);
		const quoted = [oddSchema, oddTable].map((name) => `"${name.replaceAll('"', '""')}"`);
		await sql(
			server,
			'shop',
			`CREATE SCHEMA ${quoted[0]}`,
			`CREATE SCHEMA "lager1 ""x"".y"`,
			`CREATE TABLE ${quoted.join('.')} AS SELECT 4711 AS n`,
			`CREATE TABLE ${quoted[0]}.other AS SELECT 1 AS n`,
			"SELECT lo_from_bytea(4711, '\\x00ff')",
			'ANALYZE',
		);
	});
	after(async () => {
		await server?.stop();
		await folder?.remove();
	});

	const credentials = () => ({ postgres: postgresCredential(server, 'postgres') });
	const node = (options: object) => ({
		type: 'dumpDatabase',
		parameters: { database: { __rl: true, mode: 'name', value: 'shop' }, compression: 'none', options },
	});

	async function dumped(options: object): Promise<string> {
		let text = '';
		const run = await runWorkflow({
			allowedFolders: [folder.path],
			credentials: credentials(),
			nodes: [
				node(options),
				{
					name: 'Look',
					run: async (items) => {
						text = await readFile((items[0]!.json.artifact as { path: string }).path, 'utf8');
						return items;
					},
				},
			],
		});
		run.assertSuccess();
		return text;
	}

	test('schemas and tables are picked from the chosen database, and mean exactly what was picked', async () => {
		const picked = { ...node({}), credentials: credentials() };
		assert.deepEqual((await listSearch(picked, 'listDatabases', 'SHO')).results, [
			{ name: 'shop', value: 'shop' },
		]);
		const schemas = await loadOptions(picked, 'getSchemas');
		assert.deepEqual(
			schemas.map(({ name }) => name),
			[oddSchema, 'lager1 "x".y', 'public'],
		);
		const tables = await loadOptions(picked, 'getTables');
		const table = tables.find(({ name }) => name === `${oddSchema}.${oddTable}`)!;
		assert.match(
			String(tables.find(({ name }) => name === 'public.orders')?.description),
			/^\d.* MiB, about 500 rows$/,
		);
		const copies = (text: string) => (text.match(/^COPY .*(?= \()/gm) ?? []).length;
		const alone = await dumped({ tables: [table.value] });
		assert.match(alone, /FROM stdin;\n4711\n/);
		assert.equal(copies(alone), 1);
		assert.equal(copies(await dumped({ schemas: [schemas[0]!.value] })), 2);
		assert.equal(copies(await dumped({ excludeSchemas: [schemas[0]!.value] })), 3);
		const without = await dumped({ excludeTableData: [table.value], excludeTables: ['public.orders'] });
		assert.equal(copies(without), 3);
		assert.doesNotMatch(without, /4711\n\\\./);
		// A pattern, as an expression may give it.
		assert.equal(copies(await dumped({ tables: 'public.*e*' })), 3);
	});

	test('what is dropped first, and large objects', async () => {
		assert.doesNotMatch(await dumped({}), /^DROP /m);
		assert.match(await dumped({ clean: 'yes' }), /^DROP TABLE public\.orders;$/m);
		assert.match(await dumped({ clean: 'ifExists' }), /^DROP TABLE IF EXISTS public\.orders;$/m);
		assert.match(await dumped({}), /lo_create\('4711'\)/);
		assert.doesNotMatch(await dumped({ largeObjects: 'exclude' }), /lo_create/);
		assert.match(await dumped({ largeObjects: 'include', schemas: ['public'] }), /lo_create\('4711'\)/);
	});

	test('a statement that takes too long ends the dump', async () => {
		await sql(server, 'postgres', 'CREATE DATABASE slow');
		await sql(
			server,
			'slow',
			'CREATE TABLE big AS SELECT repeat(md5(i::text), 100) AS t FROM generate_series(1, 200000) i',
		);
		const run = await runWorkflow({
			allowedFolders: [folder.path],
			credentials: { postgres: postgresCredential(server, 'slow') },
			nodes: [{ type: 'dumpDatabase', parameters: { options: { statementTimeout: 0.05 } } }],
		});
		assert.equal(run.status, 'error');
		assert.match(run.error!.description!, /time-out/);
	});

	test('an installed pg_dump, if it is none that a workflow could have written', async () => {
		const old = await startPostgres({ version: 15 });
		try {
			await sql(old, 'postgres', 'CREATE TABLE t AS SELECT 1 AS n');
			const run = async (options: object) =>
				await runWorkflow({
					allowedFolders: [folder.path],
					credentials: { postgres: postgresCredential(old) },
					nodes: [{ type: 'dumpDatabase', parameters: { options: { dumpEngine: 'client', ...options } } }],
				});
			for (const options of [{}, { clientPath: '/usr/bin/pg_dump' }]) {
				const [item] = (await run(options)).json('dumpDatabase') as [{ manifest: { tables: unknown } }];
				assert.deepEqual(item.manifest.tables, [{ schema: 'public', name: 't', rows: 1 }]);
			}
			const own = join(folder.path, 'pg_dump');
			await writeFile(own, '#!/bin/sh\ntouch /tmp/should-not-run\n', { mode: 0o755 });
			for (const [clientPath, why] of [
				[own, /workflows may write/],
				['/bin/sh', /another name/],
				['pg_dump', /not absolute/],
			] as const) {
				assert.match((await run({ clientPath })).error!.message, why);
			}
		} finally {
			await old.stop();
		}
	});

	test('the log says what is coming, and then now and again how far it is', () => {
		const lines: string[] = [];
		let now = 0;
		const report = progressLog({ info: (line: string) => lines.push(line) }, 'shop', () => now);
		const coming = { step: 'rows of table a.b', tablesTotal: 2, estimatedRows: 10, estimatedBytes: 2 ** 20 };
		for (now = 0; now < 65_000; now += 1000) report({ ...coming, tablesDone: 1, bytes: now * 1024 });
		assert.deepEqual(lines, [
			'Lifeboat dumps database shop: 2 tables, about 10 rows, 1.0 MiB',
			'Lifeboat dumps database shop: rows of table a.b, 1 of 2 tables done, 29 MiB read',
			'Lifeboat dumps database shop: rows of table a.b, 1 of 2 tables done, 59 MiB read',
		]);
	});
});
