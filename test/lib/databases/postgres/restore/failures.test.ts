import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';

import { LifeboatError } from '../../../../../lib/errors';
import {
	restorePostgres,
	type PostgresRestoreOptions,
} from '../../../../../lib/databases/postgres/restore/restore';
import { startPostgres, type PostgresServer } from '../../../../servers/postgres';

import { contentOf, createDatabase, psql, restore } from './server-tools';

let server: PostgresServer;
let untouched: string;
const database = 'target';

/** What is in the target, and has to be there still after a restore that failed. */
const present = [
	'CREATE SCHEMA old',
	'CREATE TABLE old.kept (id integer PRIMARY KEY, note text)',
	"INSERT INTO old.kept SELECT i, 'n' || i FROM generate_series(1, 50) i",
	'CREATE SEQUENCE kept_numbers',
	"SELECT nextval('kept_numbers')",
	"SELECT lo_from_bytea(99, 'x')",
	'REVOKE ALL ON SCHEMA public FROM PUBLIC',
	"COMMENT ON SCHEMA public IS 'mine'",
	'ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC',
	'CREATE EXTENSION citext',
];

before(async () => {
	server = await startPostgres({ version: 15 });
	await createDatabase(server, database);
	await psql(server, database, ...present);
	untouched = await contentOf(server, database);
});
after(() => server.stop());

/** Fails as told, and leaves the target as it was. */
async function fails(
	script: string,
	expected: { code: string; message?: RegExp; hint?: RegExp },
	options: PostgresRestoreOptions = {},
): Promise<LifeboatError> {
	let caught: unknown;
	await restore(server, database, script, { ifNotEmpty: 'clean', ...options }).catch(
		(error: unknown) => (caught = error),
	);
	assert.ok(caught instanceof LifeboatError, `no error of ours: ${String(caught)}`);
	assert.equal(caught.code, expected.code, caught.message);
	if (expected.message) assert.match(caught.message, expected.message);
	if (expected.hint) assert.match(caught.hint ?? '', expected.hint);
	assert.equal(await contentOf(server, database), untouched);
	return caught;
}

const setUp = 'CREATE TABLE public.orders (id integer PRIMARY KEY, qty integer);\n';

describe('a restore that fails leaves the target as it was', () => {
	test('because it is not empty', async () => {
		await fails(
			setUp,
			{ code: 'NOT_EMPTY', message: /1 × table \(old\.kept\)/, hint: /Remove Everything/ },
			{ ifNotEmpty: 'stop' },
		);
	});

	test('at a statement that the server refuses: line, object, first line, reason', async () => {
		await fails(
			`${setUp}\n-- x\nALTER TABLE ONLY public.orders\n    ADD CONSTRAINT x FOREIGN KEY (qty) REFERENCES public.nowhere (id);\nSELECT 1;`,
			{
				code: 'STATEMENT_FAILED',
				message:
					/ALTER TABLE public\.orders on line 4 of the script failed: relation "public\.nowhere" does not exist \(SQLSTATE 42P01\)\. Statement: ALTER TABLE ONLY public\.orders …/,
			},
		);
	});

	test('at a syntax error in the midst of many statements, behind characters of several bytes', async () => {
		const inserts = Array.from(
			{ length: 40 },
			(_, at) => `INSERT INTO public.orders VALUES (${at}, 1); -- 日本 ${at}`,
		);
		inserts[20] = "INSERT INTO public.notes VALUES ('日本語😀');";
		inserts[30] = 'INSERT INTO public.orders VALUES (, 1);';
		const script = `${setUp}CREATE TABLE public.notes (x text);\n${inserts.join('\n')}`;
		await fails(script, {
			code: 'STATEMENT_FAILED',
			message: /INSERT INTO public\.orders on line 33 /,
		});
	});

	test('at the statement that fails among many, not at the first or last', async () => {
		const inserts = Array.from(
			{ length: 40 },
			(_, at) => `INSERT INTO public.orders VALUES (${at === 30 ? 7 : at}, 1);`,
		);
		const error = await fails(setUp + inserts.join('\n'), {
			code: 'STATEMENT_FAILED',
			message: /INSERT INTO public\.orders on line 32 .*duplicate key.*Key \(id\)=\(7\) already exists/,
		});
		assert.doesNotMatch(error.message, /undefined/);
	});

	test('at a row: its number, its line, its table', async () => {
		const rows = Array.from({ length: 100 }, (_, at) => `${at}\t${at === 41 ? 'many' : 1}`);
		await fails(`${setUp}COPY public.orders (id, qty) FROM stdin;\n${rows.join('\n')}\n\\.\n`, {
			code: 'STATEMENT_FAILED',
			message:
				/row 42 \(line 44 of the script\) of table public\.orders failed: invalid input syntax for type integer: "many"/,
		});
	});

	test('at a row of a large block', async () => {
		const rows = Array.from({ length: 400_000 }, (_, at) => `${at === 399_000 ? 5 : at}\t1`);
		await fails(`${setUp}COPY public.orders (id, qty) FROM stdin;\n${rows.join('\n')}\n\\.\nSELECT 1;`, {
			code: 'STATEMENT_FAILED',
			message: /of table public\.orders failed: duplicate key/,
		});
	});

	test('for want of a role, unless owners and privileges are left out', async () => {
		const script = `${setUp}ALTER TABLE public.orders OWNER TO nobody_here;\nGRANT ALL ON TABLE public.orders TO nor_here;`;
		await fails(script, {
			code: 'ROLE_MISSING',
			message: /role "nobody_here" does not exist/,
			hint: /Create the role nobody_here/,
		});
		await fails(
			script,
			{ code: 'ROLE_MISSING', message: /GRANT TABLE public\.orders/, hint: /nor_here/ },
			{ noOwner: true },
		);
		await createDatabase(server, 'without_roles');
		await restore(server, 'without_roles', script, { noOwner: true, noPrivileges: true });
		assert.equal(
			await psql(server, 'without_roles', "SELECT tableowner FROM pg_tables WHERE tablename = 'orders'"),
			'postgres',
		);
	});

	test('for want of an extension', async () => {
		await fails('CREATE EXTENSION IF NOT EXISTS postgis WITH SCHEMA public;', {
			code: 'EXTENSION_MISSING',
			hint: /postgis/,
		});
	});

	test('secrets in statements are not told', async () => {
		const error = await fails(
			"CREATE SUBSCRIPTION s CONNECTION 'password=sesame' PUBLICATION a.b.c WITH (connect = false);",
			{
				code: 'STATEMENT_FAILED',
			},
		);
		assert.doesNotMatch(error.message + error.hint, /sesame/);
	});

	for (const [name, script] of Object.entries({
		'in the midst of a statement': `${setUp}INSERT INTO public.orders VALUES (1, `,
		'in the midst of rows': `${setUp}COPY public.orders FROM stdin;\n1\t1\n2\t`,
		'before the last line of pg_dump': `--\n-- PostgreSQL database dump\n--\n${setUp}`,
		'before anything': '-- nothing\n',
	})) {
		test(`when the script ends ${name}`, async () => {
			await fails(script, { code: 'INCOMPLETE' });
		});
	}

	test('when the rows are not as many as the manifest lists', async () => {
		const script = `${setUp}COPY public.orders FROM stdin;\n1\t1\n2\t1\n\\.\nDELETE FROM public.orders WHERE id = 2;`;
		const orders = { schema: 'public', name: 'orders' };
		await fails(
			script,
			{ code: 'ROW_COUNT_MISMATCH', message: /public\.orders has 1 rows instead of 2/ },
			{ expectedTables: [{ ...orders, rows: 2 }] },
		);
		await fails(
			script,
			{ code: 'ROW_COUNT_MISMATCH', message: /2 rows were loaded into public\.orders instead of 1/ },
			{ expectedTables: [{ ...orders, rows: 1 }] },
		);
		await fails(
			setUp,
			{ code: 'ROW_COUNT_MISMATCH', message: /public\.lost is missing/ },
			{ expectedTables: [{ schema: 'public', name: 'lost', rows: 0 }] },
		);
	});

	test('at a constraint that is checked at the end', async () => {
		await fails(
			`${setUp}CREATE TABLE public.items (o integer REFERENCES public.orders DEFERRABLE INITIALLY DEFERRED);\nINSERT INTO public.items VALUES (5);`,
			{ code: 'DATABASE_ERROR', message: /items_o_fkey/ },
		);
	});

	test('at what would leave the transaction or the database', async () => {
		await fails(`${setUp}ROLLBACK;`, { code: 'STATEMENT_REFUSED', message: /line 2/ });
		await fails(`${setUp}PREPARE TRANSACTION 'x';`, { code: 'STATEMENT_REFUSED' });
		await fails('CREATE DATABASE other;', { code: 'STATEMENT_REFUSED' });
		await fails(`${setUp}CREATE INDEX CONCURRENTLY i ON public.orders (qty);`, {
			code: 'STATEMENT_REFUSED',
			message: /CREATE INDEX i on line 2/,
		});
		await fails(`${setUp}COPY public.orders FROM '/etc/passwd';`, { code: 'STATEMENT_REFUSED' });
		await fails(`${setUp}COPY public.orders TO PROGRAM 'touch /tmp/x';`, { code: 'STATEMENT_REFUSED' });
	});

	test('at a command of psql', async () => {
		for (const [command, message] of [
			['\\! touch /tmp/x', /psql command \\! on line 2/],
			['\\i other.sql', /\\i on line 2/],
			['\\copy public.orders from x', /\\copy/],
			['\\connect elsewhere', /it leads to the database elsewhere/],
			['SELECT 1 \\gexec', /\\gexec on line 2/],
			['\\.', /\\\. on line 2/],
		] as const) {
			await fails(`${setUp}${command}\n`, { code: 'META_COMMAND_REFUSED', message });
		}
		await fails(
			'CREATE DATABASE one;\n\\c one\nSELECT 1;\n\\c two\n',
			{ code: 'META_COMMAND_REFUSED', message: /also fills the database one/ },
			{ metaCommands: 'skip-connect' },
		);
	});

	test('when the source fails at its very end', async () => {
		const script = Buffer.from(`${setUp}COPY public.orders FROM stdin;\n1\t1\n\\.\n`);
		const damaged = new LifeboatError('CHECKSUM_MISMATCH', 'The copy is damaged');
		await assert.rejects(
			restorePostgres(
				server.connection(database),
				async () =>
					Readable.from(
						(async function* () {
							yield script;
							await sleep(50);
							throw damaged;
						})(),
					),
				{ ifNotEmpty: 'clean' },
			),
			damaged,
		);
		assert.equal(await contentOf(server, database), untouched);
	});

	test('while another session uses what has to go', async () => {
		const other = psql(server, database, 'BEGIN', 'LOCK TABLE old.kept', 'SELECT pg_sleep(1.5)', 'COMMIT');
		await sleep(300);
		await fails(setUp, { code: 'TABLE_LOCKED', hint: /Another session/ }, { lockTimeoutMs: 200 });
		await other;
	});

	test('while another restore runs', async () => {
		const hold = new AbortController();
		const first = restorePostgres(
			server.connection(database),
			async () => Readable.from(endless()),
			{ ifNotEmpty: 'clean' },
			{ signal: hold.signal },
		);
		first.catch(() => undefined);
		await waitFor("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'", '1');
		await assert.rejects(restore(server, database, setUp, { ifNotEmpty: 'clean' }), {
			code: 'RESTORE_RUNNING',
		});
		hold.abort();
		await assert.rejects(first, { code: 'CANCELLED' });
		assert.equal(await contentOf(server, database), untouched);
	});
});

describe('a restore that is stopped half way', () => {
	beforeEach(async () => {
		await waitFor(`SELECT count(*) FROM pg_stat_activity WHERE application_name = 'lifeboat restore'`, '0');
	});

	for (const [name, statement] of Object.entries({
		'while rows flow': undefined,
		'while a statement runs': 'SELECT pg_sleep(60);\n',
	})) {
		test(`cancelled ${name}`, async () => {
			const stop = new AbortController();
			const running = restorePostgres(
				server.connection(database),
				async (signal) => Readable.from(endless(statement), { signal }),
				{ ifNotEmpty: 'clean' },
				{ signal: stop.signal },
			);
			running.catch(() => undefined);
			await waitFor(
				`SELECT count(*) FROM pg_stat_activity WHERE query ~ '^(COPY public.orders|SELECT pg_sleep)' AND state = 'active'`,
				'1',
			);
			stop.abort();
			await assert.rejects(running, { code: 'CANCELLED' });
			// The server's process is gone too, at once.
			await waitFor(`SELECT count(*) FROM pg_stat_activity WHERE application_name = 'lifeboat restore'`, '0');
			assert.equal(await contentOf(server, database), untouched);
		});

		test(`its session ended by the server ${name}`, async () => {
			const running = restorePostgres(
				server.connection(database),
				async () => Readable.from(endless(statement)),
				{ ifNotEmpty: 'clean' },
			);
			running.catch(() => undefined);
			await waitFor(
				`SELECT count(*) FROM pg_stat_activity WHERE query ~ '^(COPY public.orders|SELECT pg_sleep)' AND state = 'active'`,
				'1',
			);
			await psql(
				server,
				'postgres',
				"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'lifeboat restore'",
			);
			await assert.rejects(running, { code: 'CONNECTION_LOST', message: /as it was before/ });
			assert.equal(await contentOf(server, database), untouched);
		});
	}
});

test('too many objects for the lock table: the hint names the setting', async () => {
	const small = await startPostgres({
		version: 18,
		settings: { max_locks_per_transaction: '10', max_connections: '10' },
	});
	try {
		const tables = Array.from({ length: 5000 }, (_, at) => `CREATE TABLE t${at} (id integer PRIMARY KEY);`);
		await assert.rejects(restore(small, 'postgres', tables.join('\n')), {
			code: 'TOO_MANY_LOCKS',
			hint: /max_locks_per_transaction/,
		});
		assert.equal(
			await psql(small, 'postgres', "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"),
			'0',
		);
	} finally {
		await small.stop();
	}
});

/** A script whose end never comes, as when a download stalls. */
async function* endless(statement?: string): AsyncGenerator<Buffer> {
	yield Buffer.from(setUp);
	if (statement !== undefined) yield Buffer.from(statement);
	yield Buffer.from('COPY public.orders FROM stdin;\n');
	for (let id = 0; ; id += 1000) {
		yield Buffer.from(Array.from({ length: 1000 }, (_, at) => `${id + at}\t1\n`).join(''));
		await sleep(20);
	}
}

async function waitFor(query: string, answer: string): Promise<void> {
	for (
		const deadline = Date.now() + 15_000;
		(await psql(server, 'postgres', query)) !== answer;
		await sleep(50)
	) {
		assert.ok(Date.now() < deadline, `${query} is not ${answer}`);
	}
}
