import assert from 'node:assert/strict';
import { createReadStream } from 'node:fs';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { after, before, describe, test } from 'node:test';

import type { SequenceValue, TableRows } from '../../../../../lib/artifact/manifest';
import type { RestoreTestFindings, ScratchDatabase, SqlCheck } from '../../../../../lib/databases/scratch';
import { inProcessScratch } from '../../../../../lib/databases/postgres/scratch/in-process';
import { SCRATCH_PREFIX } from '../../../../../lib/databases/postgres/scratch/names';
import { serverScratch } from '../../../../../lib/databases/postgres/scratch/on-server';
import { startPostgres, type PostgresServer } from '../../../../servers/postgres';

import { dumpToFile } from '../helpers';
import {
	createDatabase,
	createRoles,
	psql,
	psqlFile,
	torture14Sql,
	tortureSql,
} from '../restore/server-tools';

const failedChecks = ({ checks }: RestoreTestFindings) =>
	checks.filter(({ passed }) => !passed).map(({ name }) => name);

describe('a restore for a test', () => {
	let server: PostgresServer;
	let folder: string;
	let tables: TableRows[];

	before(async () => {
		[server, folder] = await Promise.all([
			startPostgres({ version: 15, settings: { wal_level: 'logical' } }),
			mkdtemp(join(tmpdir(), 'lifeboat-scratch-')),
		]);
		await createRoles(server);
		await createDatabase(server, 'source');
		await psqlFile(server, 'source', tortureSql);
		await psqlFile(server, 'source', torture14Sql);
		await psql(
			server,
			'source',
			'CREATE TABLE loose (a int)',
			'INSERT INTO loose VALUES (-1)',
			'ALTER TABLE loose ADD CONSTRAINT later CHECK (a > 0) NOT VALID',
			'CREATE SEQUENCE counter START 42',
		);
		for (const format of ['plain', 'custom'] as const) await dump(format);
		// PGlite has no subscriptions: what else there is, it must take.
		await psql(server, 'source', 'DROP SUBSCRIPTION sub');
		for (const format of ['plain', 'custom'] as const) tables = await dump(format, '-without');
	});
	after(async () => {
		await server?.stop();
		await rm(folder, { recursive: true, force: true });
	});

	const dump = async (format: 'plain' | 'custom', suffix = '') =>
		await dumpToFile(server.connection('source'), join(folder, format + suffix), { format });
	const opening = (name: string) => async () => createReadStream(join(folder, name));
	const scratchDatabases = async () =>
		await psql(server, 'postgres', `SELECT datname FROM pg_database WHERE datname LIKE '${SCRATCH_PREFIX}%'`);
	const leftInFolder = async () => (await readdir(folder)).filter((name) => name.startsWith('restore-test-'));
	const assertNothingLeft = async () => {
		assert.equal(await scratchDatabases(), '');
		assert.deepEqual(await leftInFolder(), []);
	};
	const onServer = (withOwners = false) => serverScratch(server.connection(), { withOwners });
	const inProcess = () => inProcessScratch({ folder });

	const sqlChecks: SqlCheck[] = [
		{ name: 'enough', sql: 'SELECT count(*) > 100 FROM orders;', expect: 'true' },
		{ name: 'some', sql: 'SELECT count(*) FROM public.orders -- all', expect: 'positive' },
		{ name: 'too few', sql: 'SELECT count(*) > 1000 FROM orders', expect: 'true' },
		{ name: 'writes', sql: 'DELETE FROM orders', expect: 'rows' },
		{ name: 'writes below', sql: 'WITH gone AS (DELETE FROM orders RETURNING 1) SELECT 1', expect: 'rows' },
		{ name: 'several', sql: 'SELECT 1; COMMIT; DROP TABLE orders', expect: 'rows' },
		{ name: 'unknown', sql: 'SELECT missing FROM orders', expect: 'rows' },
		{ name: 'counted', sql: 'SELECT count(*) FROM orders', expect: 'equals', value: '500' },
	];
	const sequences: SequenceValue[] = [
		{ schema: 'public', name: 'counter', lastValue: '42', isCalled: false },
	];
	const refused = ['too few', 'writes', 'writes below', 'several', 'unknown'];

	for (const format of ['plain', 'custom']) {
		test(`takes every kind of object on a server (${format})`, async () => {
			for (const scratch of [onServer(), onServer(true)]) {
				const manifest = { tables, sequences };
				const findings = await scratch.test({ open: opening(format), manifest, sqlChecks });
				assert.deepEqual(failedChecks(findings), refused);
				assert.match(findings.method, /PostgreSQL 15\.\d+ server/);
				assert.ok(findings.recoveryTime > 0);
				await assertNothingLeft();
			}
		});

		test(`takes every kind of object but subscriptions in process, owners and privileges included (${format})`, async () => {
			const manifest = { tables, sequences };
			const owner: SqlCheck = {
				name: 'owner',
				sql: `SELECT count(*) FROM pg_class WHERE pg_get_userbyid(relowner) = 'owner'`,
				expect: 'positive',
			};
			const findings = await inProcess().test({
				open: opening(`${format}-without`),
				manifest,
				sqlChecks: [...sqlChecks, owner],
			});
			assert.deepEqual(failedChecks(findings), refused);
			assert.match(findings.method, /^PostgreSQL 18\.\d+ in process$/);
			await assertNothingLeft();
			await assert.rejects(inProcess().test({ open: opening(format), manifest }), {
				code: 'NOT_TESTABLE',
				message: /subscriptions, such as sub/,
			});
		});
	}

	test('finds sequences that stand elsewhere and constraints that are not valid but should be', async () => {
		const text = await readFile(join(folder, 'plain-without'), 'latin1');
		const cheat = `UPDATE pg_catalog.pg_constraint SET convalidated = false WHERE conname = 'orders_pkey';\n`;
		const changed = text
			.replace("setval('public.counter', 42, false)", "setval('public.counter', 43, false)")
			.replace(/(--\n-- PostgreSQL database dump complete)/, `${cheat}$1`);
		assert.ok(changed.includes('43, false') && changed.includes(cheat));
		const missing = { schema: 'public', name: 'gone', lastValue: '1', isCalled: true };
		const { checks } = await onServer().test({
			open: async () => Readable.from([Buffer.from(changed, 'latin1')]),
			manifest: { tables, sequences: [...sequences, missing] },
		});
		const details = Object.fromEntries(
			checks.map(({ name, passed, detail }) => [name, passed ? '' : detail]),
		);
		assert.match(details.Sequences!, /public\.counter stands at 43 instead of 42; public\.gone is missing/);
		assert.match(details.Constraints!, /orders_pkey on public\.orders/);
		assert.equal(details.Indexes, '');
	});

	const plain = (...lines: string[]) => {
		const text = [
			...['--', '-- PostgreSQL database dump', '--', ...lines],
			...['--', '-- PostgreSQL database dump complete', '--', ''],
		].join('\n');
		return async () => Readable.from([Buffer.from(text)]);
	};

	test('tells what a place lacks from what is wrong with the backup', async () => {
		const notHere = async (scratch: ScratchDatabase, sql: string, message: RegExp) =>
			await assert.rejects(scratch.test({ open: plain(sql), manifest: {} }), {
				code: 'NOT_TESTABLE',
				message,
			});
		await notHere(
			inProcess(),
			'CREATE EXTENSION IF NOT EXISTS postgis WITH SCHEMA public;',
			/extension postgis/,
		);
		await notHere(onServer(), 'CREATE EXTENSION IF NOT EXISTS postgis;', /postgis/);
		await notHere(
			onServer(true),
			'CREATE TABLE t (a int); ALTER TABLE t OWNER TO nobody_here;',
			/nobody_here/,
		);
		const broken = plain('CREATE TABLE t (a int);', 'ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES gone;');
		for (const scratch of [onServer(), inProcess()]) {
			await assert.rejects(scratch.test({ open: broken, manifest: {} }), { code: 'STATEMENT_FAILED' });
		}
		// Newer SQL than the server knows says nothing of the backup.
		const newer = plain('CREATE TABLE t (a int) USING something_of_the_future;');
		const source = (serverVersion: string) =>
			({ type: 'database', engine: 'postgresql', serverVersion, database: 'shop' }) as const;
		for (const [version, code] of [
			['19.1', 'NOT_TESTABLE'],
			['15.1', 'STATEMENT_FAILED'],
		] as const) {
			const manifest = { source: source(version) };
			await assert.rejects(onServer().test({ open: newer, manifest }), { code });
		}
		const short = plain('CREATE TABLE t (a int);', 'COPY public.t (a) FROM stdin;', '1', '\\.', '');
		await assert.rejects(
			onServer().test({ open: short, manifest: { tables: [{ schema: 'public', name: 't', rows: 2 }] } }),
			{ code: 'ROW_COUNT_MISMATCH' },
		);
		await assertNothingLeft();
	});

	test('gives up on a question that takes too long, in process too, where nothing but its end stops a query', async () => {
		const slow = 'SELECT count(*) FROM generate_series(1, 2000000000)';
		for (const scratch of [onServer(), inProcess()]) {
			const { checks } = await scratch.test({
				open: plain('CREATE TABLE t (a int);'),
				manifest: {},
				sqlChecks: [{ name: 'slow', sql: slow, expect: 'rows' }],
				checkTimeoutMs: 200,
			});
			assert.equal(checks.at(-1)!.passed, false);
			assert.match(checks.at(-1)!.detail!, /no answer within 0\.2 s|statement timeout/);
		}
		await assertNothingLeft();
	});

	/** Rows without end. */
	const endless = async () =>
		Readable.from(
			(function* () {
				yield Buffer.from(
					'--\n-- PostgreSQL database dump\n--\nCREATE TABLE t (a int);\nCOPY t FROM stdin;\n',
				);
				for (;;) yield Buffer.from('1\n'.repeat(5000));
			})(),
		);

	test('drops the scratch database and the folder when it is cancelled', async () => {
		for (const [name, scratch] of [
			['server', onServer()],
			['process', inProcess()],
		] as const) {
			const stop = new AbortController();
			// The first opening looks at what the dump needs; the second restores.
			let opened = 0;
			const open = async () => {
				opened += 1;
				if (opened === 1) return await plain('CREATE TABLE t (a int);')();
				setTimeout(() => stop.abort(), 300);
				return await endless();
			};
			const running = scratch.test({ open, manifest: {} }, { signal: stop.signal });
			await assert.rejects(running, (error: Error & { code?: string }) => {
				assert.ok(error.code === 'CANCELLED' || error.name === 'AbortError', `${name}: ${error.message}`);
				return true;
			});
			assert.equal(opened, 2);
			await assertNothingLeft();
		}
	});

	test('a PostgreSQL in process that is killed ends in a clear error, and nothing is left', async () => {
		let opened = 0;
		const scratch = inProcessScratch({
			folder,
			onStart: (thread) => setTimeout(() => thread.kill(), 500),
		});
		const open = async () => ((opened += 1), opened === 1 ? await plain('SELECT 1;')() : await endless());
		await assert.rejects(scratch.test({ open, manifest: {} }), {
			code: 'SCRATCH_LOST',
			message: /inside n8n .* broke down/,
			hint: /on a server/,
		});
		await assertNothingLeft();
	});
});
