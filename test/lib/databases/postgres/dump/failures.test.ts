import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, beforeEach, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { LifeboatError } from '../../../../../lib/errors';
import { postgresEngine, type PostgresDumpOptions } from '../../../../../lib/databases/postgres';
import { postgresError, type PostgresConnection } from '../../../../../lib/databases/postgres/connection';
import { startPostgres, type PostgresServer } from '../../../../servers/postgres';
import { startTcpProxy } from '../../../../servers/tcp-proxy';
import { dumpText, psql, withClient } from '../helpers';
import { systemErrorCode } from '../../../../system-error-code';

describe('a dump that can not be made', () => {
	let server: PostgresServer;

	before(async () => {
		server = await startPostgres({ version: 17 });
		await psql(server, 'postgres', {
			sql: `CREATE ROLE clerk LOGIN PASSWORD 'clerk';
			CREATE SCHEMA shop;
			CREATE TABLE shop.orders AS SELECT i, repeat(md5(i::text), 30) AS t FROM generate_series(1, 20000) i;
			CREATE TABLE shop."Secret" (x integer);
			CREATE TABLE shop.mine (x integer);
			GRANT USAGE ON SCHEMA shop TO clerk;
			GRANT SELECT ON shop.orders TO clerk`,
		});
	});
	after(async () => server.stop());
	beforeEach(async () => {
		assert.deepEqual(await backends(), []);
	});

	const clerk = (): PostgresConnection => ({ ...server.connection(), user: 'clerk', password: 'clerk' });

	/** What of ours the server still runs, after a moment in which it may end. */
	async function backends(): Promise<unknown[]> {
		return withClient(server.connection(), async (client) => {
			for (let i = 0; ; i++) {
				const { rows } = await client.query(
					"SELECT state, query FROM pg_stat_activity WHERE application_name = 'n8n-nodes-lifeboat'",
				);
				if (rows.length === 0 || i === 40) return rows as unknown[];
				await sleep(50);
			}
		});
	}

	/** Dumps and throws away; `during` is called at the first chunk of rows. */
	async function dump(
		connection: PostgresConnection,
		options: PostgresDumpOptions = {},
		during: () => Promise<void> | void = () => undefined,
		signal?: AbortSignal,
	): Promise<void> {
		const prepared = await postgresEngine.prepareDump(connection, options, { signal });
		const production = await prepared.start();
		let size = 0;
		try {
			for await (const chunk of production.stream) {
				if (size < 100_000 && size + (chunk as Buffer).length >= 100_000) await during();
				size += (chunk as Buffer).length;
			}
		} catch (error) {
			await assert.rejects(production.finish(), { code: 'INCOMPLETE' });
			throw error;
		}
		await production.finish();
	}

	test('a server newer than pg_dump is refused before anything is read', async () => {
		const proxy = await startTcpProxy(server.port, {
			change: (data) =>
				Buffer.from(
					data.toString('latin1').replace('server_version\x0017.', 'server_version\x0019.'),
					'latin1',
				),
		});
		try {
			await assert.rejects(
				postgresEngine.prepareDump({ ...server.connection(), port: proxy.port }, {}),
				(error) => {
					assert.ok(error instanceof LifeboatError);
					assert.equal(error.code, 'SERVER_TOO_NEW');
					assert.match(error.message, /PostgreSQL 19\.\d+.*up to 18/);
					return true;
				},
			);
		} finally {
			await proxy.stop();
		}
	});

	test('a wrong login, database or port is told apart', async () => {
		const connection = server.connection();
		for (const [change, code] of [
			[{ password: 'wrong' }, 'LOGIN_FAILED'],
			[{ user: 'nobody' }, 'LOGIN_FAILED'],
			[{ database: 'nothing' }, 'DATABASE_NOT_FOUND'],
			[{ port: 1 }, 'CONNECTION_FAILED'],
			[{ host: '/nowhere' }, 'CONNECTION_FAILED'],
			[{ host: 'no-such-host.invalid' }, 'CONNECTION_FAILED'],
			[{ ssl: {} }, 'TLS_FAILED'],
		] satisfies [Partial<PostgresConnection>, string][]) {
			await assert.rejects(postgresEngine.prepareDump({ ...connection, ...change }, {}), (error) => {
				assert.ok(error instanceof LifeboatError && error.hint);
				assert.equal(error.code, code);
				assert.doesNotMatch(error.message + error.hint, /wrong|pw-of|undefined/);
				assert.doesNotMatch(error.message + error.hint, systemErrorCode);
				return true;
			});
		}
	});

	test('a locked table is named, and who locks it, after the time-out', async () => {
		await withClient(server.connection(), async (client) => {
			await client.query("SET application_name = 'migration'");
			await client.query('BEGIN');
			await client.query('LOCK TABLE shop."Secret" IN ACCESS EXCLUSIVE MODE');
			const started = Date.now();
			await assert.rejects(dump(server.connection(), { lockTimeoutMs: 1500 }), (error) => {
				assert.ok(error instanceof LifeboatError);
				assert.equal(error.code, 'TABLE_LOCKED');
				assert.match(error.message, /shop\."Secret".*session \d+ \(user postgres, migration\)/);
				return true;
			});
			assert.ok(Date.now() - started >= 1500);
			await client.query('ROLLBACK');
		});
		await dump(server.connection(), { lockTimeoutMs: 1500 });
	});

	test('tables that may not be read are named', async () => {
		await assert.rejects(dump(clerk()), (error) => {
			assert.ok(error instanceof LifeboatError);
			assert.equal(error.code, 'NOT_PERMITTED');
			assert.match(error.message, /clerk may not read shop\."Secret", shop\.mine/);
			return true;
		});
		await dump(clerk(), { tables: ['shop.orders'] });
	});

	test('rows that a row security policy hides are not left out', async () => {
		await psql(server, 'postgres', {
			sql: `CREATE TABLE shop.rls (x integer); GRANT SELECT ON shop.rls TO clerk; INSERT INTO shop.rls VALUES (1), (2);
			ALTER TABLE shop.rls ENABLE ROW LEVEL SECURITY; CREATE POLICY odd ON shop.rls USING (x = 1)`,
		});
		await assert.rejects(dump(clerk(), { tables: ['shop.rls'] }), (error) => {
			assert.ok(error instanceof LifeboatError);
			assert.equal(error.code, 'NOT_PERMITTED');
			assert.match(error.message, /^Reading table shop\.rls failed/);
			assert.match(error.hint!, /BYPASSRLS/);
			return true;
		});
	});

	test('a backend that is ended half way', async () => {
		const terminate = async () => {
			await psql(server, 'postgres', {
				sql: "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'n8n-nodes-lifeboat'",
			});
		};
		await assert.rejects(dump(server.connection(), {}, terminate), { code: 'CONNECTION_LOST' });
	});

	test('a connection that is cut, early or late', async () => {
		for (const cutAfter of [3000, 60_000, 5_000_000]) {
			const proxy = await startTcpProxy(server.port, { cutAfter });
			try {
				await assert.rejects(dump({ ...server.connection(), port: proxy.port }), (error) => {
					assert.ok(error instanceof LifeboatError);
					assert.ok(['CONNECTION_LOST', 'CONNECTION_FAILED'].includes(error.code), error.code);
					return true;
				});
			} finally {
				await proxy.stop();
			}
		}
	});

	test('an abort ends it at once, on the server too', async () => {
		const controller = new AbortController();
		await assert.rejects(
			dump(server.connection(), {}, () => controller.abort(), controller.signal),
			{ code: 'CANCELLED' },
		);
		assert.deepEqual(await backends(), []);
	});

	test('an abort ends the wait for a lock', async () => {
		await withClient(server.connection(), async (client) => {
			await client.query('BEGIN');
			await client.query('LOCK TABLE shop.mine IN ACCESS EXCLUSIVE MODE');
			const controller = new AbortController();
			const dumping = assert.rejects(dump(server.connection(), {}, undefined, controller.signal), {
				code: 'CANCELLED',
			});
			await untilWaiting(client);
			controller.abort();
			await dumping;
			assert.deepEqual(await backends(), []);
			await client.query('ROLLBACK');
		});
	});

	test('a reader that goes away ends it on the server', async () => {
		await withClient(server.connection(), async (client) => {
			await client.query('BEGIN');
			await client.query('LOCK TABLE shop.mine IN ACCESS EXCLUSIVE MODE');
			const { stream } = await (await postgresEngine.prepareDump(server.connection(), {})).start();
			stream.resume();
			await untilWaiting(client);
			stream.destroy();
			await once(stream, 'close');
			assert.deepEqual(await backends(), []);
			await client.query('ROLLBACK');
		});
	});

	test('a choice that matches nothing', async () => {
		await assert.rejects(dump(server.connection(), { tables: ['shop.nothing'] }), (error) => {
			assert.ok(error instanceof LifeboatError);
			assert.equal(error.code, 'PG_DUMP_FAILED');
			assert.match(error.message, /no matching tables were found/);
			return true;
		});
		await assert.rejects(dump(server.connection(), { schemaOnly: true, dataOnly: true }), {
			code: 'OPTIONS_CONFLICT',
		});
	});

	test('a statement that takes longer than it may', async () => {
		await assert.rejects(dump(server.connection(), { statementTimeoutMs: 1 }), { code: 'QUERY_CANCELLED' });
	});

	test('a standby whose replication does not wait is told from other failures', async () => {
		// What a standby sends then; here a server says it that is none.
		const raise = `DO $$BEGIN RAISE 'canceling statement due to conflict with recovery' USING ERRCODE = '40001'; END$$`;
		const cause = await withClient(server.connection(), async (client) => client.query(raise)).catch(
			(error: unknown) => error,
		);
		const { code, message, hint } = postgresError(cause, 'reading table a');
		assert.equal(code, 'QUERY_CANCELLED');
		assert.match(message, /^Reading table a failed: canceling statement due to conflict with recovery/);
		assert.match(hint!, /hot_standby_feedback/);
	});

	test('a connection that ended is never taken for an answer of the server', () => {
		for (const code of ['ECONNRESET', 'EPIPE', 'ETIMEDOUT', '57P01', '08006']) {
			const error = postgresError(Object.assign(new Error(`write ${code}`), { code }), 'reading table a');
			assert.equal(error.code, 'CONNECTION_LOST', code);
			assert.equal(error.message, 'Reading table a failed: the connection to the PostgreSQL server was lost');
		}
	});

	test('time-outs of the server do not end it', async () => {
		await psql(server, 'postgres', {
			sql: `ALTER ROLE postgres SET idle_in_transaction_session_timeout = '300ms';
			ALTER ROLE postgres SET transaction_timeout = '500ms';
			ALTER ROLE postgres SET statement_timeout = '400ms';
			ALTER ROLE postgres SET lock_timeout = '10ms'`,
		});
		try {
			await dump(server.connection(), {}, async () => sleep(1500));
		} finally {
			await psql(server, 'postgres', { sql: 'ALTER ROLE postgres RESET ALL' });
		}
	});

	test('a migration that waits for a table does not stand in its way', async () => {
		await withClient(server.connection(), async (client) => {
			let altered: Promise<unknown> | undefined;
			await dump(server.connection(), { lockTimeoutMs: 2000 }, async () => {
				altered = client.query('ALTER TABLE shop.mine ADD COLUMN y integer');
				await withClient(server.connection(), untilWaiting);
			});
			await altered;
		});
		assert.match(
			await dumpText(server.connection(), { schemaOnly: true }),
			/CREATE TABLE shop\.mine \(\n {4}x integer,\n {4}y integer/,
		);
	});

	async function untilWaiting(client: {
		query: (sql: string) => Promise<{ rows: unknown[] }>;
	}): Promise<void> {
		for (let i = 0; i < 200; i++) {
			const { rows } = await client.query('SELECT 1 FROM pg_locks WHERE NOT granted');
			if (rows.length > 0) return;
			await sleep(25);
		}
		assert.fail('nobody waits for a lock');
	}
});
