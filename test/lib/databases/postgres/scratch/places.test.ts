import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { after, afterEach, before, describe, test } from 'node:test';

import { storedArtifact } from '../../../../../lib/artifact/file-artifact';
import type { DatabaseSource } from '../../../../../lib/artifact/manifest';
import type { ScratchDatabase } from '../../../../../lib/databases/scratch';
import { prepareGlobalsDump } from '../../../../../lib/databases/postgres';
import { inProcessScratch } from '../../../../../lib/databases/postgres/scratch/in-process';
import { SCRATCH_PREFIX } from '../../../../../lib/databases/postgres/scratch/names';
import { serverScratch } from '../../../../../lib/databases/postgres/scratch/on-server';
import { testRestore } from '../../../../../lib/verification/restore-test';
import { startPostgres, type PostgresServer } from '../../../../servers/postgres';

import { artifactOf, readWhole } from '../../../artifact/samples';
import { psql } from '../restore/server-tools';

describe('a place for a restore test', () => {
	let server: PostgresServer;
	let folder: string;
	before(async () => {
		[server, folder] = await Promise.all([
			startPostgres({ version: 15 }),
			mkdtemp(join(tmpdir(), 'lifeboat-scratch-')),
		]);
	});
	after(async () => {
		await server?.stop();
		await rm(folder, { recursive: true, force: true });
	});
	afterEach(async () => {
		const left = `SELECT datname FROM pg_database WHERE datname LIKE '${SCRATCH_PREFIX}%'`;
		assert.equal(await psql(server, 'postgres', left), '');
		assert.deepEqual(await readdir(folder), []);
	});

	const onServer = () => serverScratch(server.connection());
	const inProcess = () => inProcessScratch({ folder });
	const plain = (...lines: string[]) => {
		const text = [
			...['--', '-- PostgreSQL database dump', '--', ...lines],
			...['--', '-- PostgreSQL database dump complete', '--', ''],
		].join('\n');
		return async () => Readable.from([Buffer.from(text, 'latin1')]);
	};

	test('lacks what only the server of the backup has: that says nothing of the backup', async () => {
		const outcome = async (scratch: ScratchDatabase, ...lines: string[]) => {
			try {
				const { checks } = await scratch.test({ open: plain(...lines), manifest: {} });
				return checks.every(({ passed }) => passed) ? 'passed' : checks;
			} catch (error) {
				return (error as { code: string }).code;
			}
		};
		const tablespace = ['SET default_tablespace = "Fast";', 'CREATE TABLE t (a int);'];
		const collation = 'CREATE TABLE t (a text COLLATE pg_catalog."de-x-icu");';
		const bytes = "COMMENT ON SCHEMA public IS '\xfc';";
		const noEncoding = ["SET client_encoding = 'SQL_ASCII';", bytes];
		assert.equal(await outcome(onServer(), ...tablespace), 'NOT_TESTABLE');
		assert.equal(await outcome(onServer(), collation), 'passed');
		assert.equal(await outcome(onServer(), ...noEncoding), 'NOT_TESTABLE');
		assert.equal(await outcome(onServer(), "SET client_encoding = 'UTF8';", bytes), 'STATEMENT_FAILED');
		assert.equal(await outcome(inProcess(), ...noEncoding, ...tablespace), 'passed');
		assert.equal(await outcome(inProcess(), collation), 'NOT_TESTABLE');
	});

	test('for roles and tablespaces is one where they are nobody else’s', async () => {
		await psql(server, 'postgres', `CREATE ROLE owner; CREATE ROLE reader LOGIN PASSWORD 'x'`);
		const passwords = 'SELECT rolname, rolpassword FROM pg_authid ORDER BY 1';
		const original = await psql(server, 'postgres', passwords);
		const dump = await prepareGlobalsDump(server.connection());
		const text = (await buffer((await dump.start()).stream))
			.toString()
			.replaceAll(/('')reader\1|(")reader\2/g, '$1$2newcomer$1$2')
			.replaceAll('SCRAM-SHA-256$4096', 'SCRAM-SHA-256$$4097')
			.replace(
				/(--\n-- PostgreSQL database cluster dump complete)/,
				`CREATE TABLESPACE fast LOCATION '/nowhere';\nGRANT CREATE ON TABLESPACE fast TO owner;\n$1`,
			);
		assert.match(text, /newcomer[^]*4097[^]*TABLESPACE fast/);
		const source: DatabaseSource = {
			...{ type: 'database' as const, engine: 'postgresql', serverVersion: '15', database: 'postgres' },
			globals: true,
		};
		const { bytes, manifest } = await readWhole(
			artifactOf(Buffer.from(text), { kind: 'database', format: 'plain-sql', extension: '.sql', source }),
		);
		const artifact = storedArtifact(manifest, async () => Readable.from([bytes]));
		const options = { decoder: async () => assert.fail('there is nothing to decode'), folder };

		const report = await testRestore(artifact, { ...options, scratches: [onServer(), inProcess()] });
		assert.equal(report.result, 'passed', report.error?.message);
		assert.match(report.method, /in process/);
		assert.match(report.checks[0]!.detail!, /^3 roles are there$/);
		assert.match(report.warnings.join(), /Tablespaces were not tested.*fast/);
		const nowhere = await testRestore(artifact, { ...options, scratches: [onServer()] });
		assert.equal(nowhere.result, 'not testable');
		// Also where no manifest says what it is.
		const open = async () => Readable.from([bytes]);
		await assert.rejects(onServer().test({ open, manifest: {} }), { code: 'NOT_TESTABLE' });
		assert.equal(await psql(server, 'postgres', passwords), original, 'nothing has changed on the server');
	});

	test('tells of databases that tests have left which were killed', async () => {
		const [old, running] = [
			`${SCRATCH_PREFIX}20260101_020000_0123abcd`,
			`${SCRATCH_PREFIX}20260103_010000_0123abcd`,
		];
		await psql(server, 'postgres', `CREATE DATABASE ${old}`, `CREATE DATABASE ${running}`);
		try {
			const scratch = serverScratch(server.connection(), { now: new Date('2026-01-03T02:00:00Z') });
			const { warnings } = await scratch.test({ open: plain('CREATE TABLE t (a int);'), manifest: {} });
			assert.equal(warnings.length, 1);
			assert.ok(warnings[0]!.includes(old) && !warnings[0]!.includes(running), warnings[0]);
		} finally {
			await psql(server, 'postgres', `DROP DATABASE ${old}`, `DROP DATABASE ${running}`);
		}
	});

	test('is given up at once when it is cancelled while a question is asked', async () => {
		const slow = 'SELECT count(*) FROM generate_series(1, 2000000000)';
		for (const scratch of [onServer(), inProcess()]) {
			const stop = new AbortController();
			let asked = 0;
			const question = (name: string) => ({
				...{ name, expect: 'rows' as const },
				get sql() {
					asked += 1;
					setTimeout(() => stop.abort(), 300);
					return slow;
				},
			});
			const request = {
				...{ open: plain('CREATE TABLE t (a int);'), manifest: {}, checkTimeoutMs: 600_000 },
				sqlChecks: [question('first'), question('second')],
			};
			await assert.rejects(
				scratch.test(request, { signal: stop.signal }),
				(error: Error & { code?: string }) => error.name === 'AbortError' || error.code === 'CANCELLED',
			);
			assert.ok(asked > 0);
		}
	});

	test('that is lost while a question is asked is an error, and says nothing of the backup', async () => {
		const kill = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'lifeboat restore test'`;
		const sqlChecks = [
			{
				...{ name: 'slow', expect: 'rows' as const },
				get sql() {
					setTimeout(() => void psql(server, 'postgres', kill), 300);
					return 'SELECT pg_sleep(60)';
				},
			},
		];
		const running = onServer().test({ open: plain('CREATE TABLE t (a int);'), manifest: {}, sqlChecks });
		await assert.rejects(running, { code: 'CONNECTION_LOST' });
		const doomed = inProcessScratch({
			folder,
			onStart: (thread) => setTimeout(() => thread.kill(), 1500),
		});
		const slow = 'SELECT count(*) FROM generate_series(1, 2000000000)';
		await assert.rejects(
			doomed.test({
				...{ open: plain('CREATE TABLE t (a int);'), manifest: {} },
				sqlChecks: [{ name: 'slow', sql: slow, expect: 'rows' }],
			}),
			{ code: 'SCRATCH_LOST' },
		);
	});
});
