import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';

import { Client } from 'pg';

import type { TableRows } from '../../../../lib/artifact/manifest';
import type { EngineContext } from '../../../../lib/databases/engine';
import { postgresEngine, type PostgresDumpOptions } from '../../../../lib/databases/postgres';
import type { PostgresConnection } from '../../../../lib/databases/postgres/connection';
import type { PostgresServer } from '../../../servers/postgres';

const run = promisify(execFile);

/** Runs `use` with a folder that is gone afterwards. */
export async function withFolder<Result>(use: (folder: string) => Promise<Result>): Promise<Result> {
	const folder = await mkdtemp(join(tmpdir(), 'lifeboat-test-'));
	try {
		return await use(folder);
	} finally {
		await rm(folder, { recursive: true, force: true });
	}
}

/** Runs `use` with a client, which is closed afterwards. */
export async function withClient<Result>(
	connection: PostgresConnection,
	use: (client: Client) => Promise<Result>,
): Promise<Result> {
	const { host, port, user, password, database } = connection;
	const client = new Client({ host, port, user, password, database, ssl: false });
	client.on('error', () => undefined);
	await client.connect();
	try {
		return await use(client);
	} finally {
		await client.end();
	}
}

/** Creates a database, runs `use` with its name, and drops it. @param clause such as `ENCODING 'LATIN1'`. */
export async function withDatabase<Result>(
	server: PostgresServer,
	use: (database: string) => Promise<Result>,
	clause = '',
): Promise<Result> {
	const database = `test_${randomBytes(6).toString('hex')}`;
	const query = async (sql: string) => withClient(server.connection(), async (client) => client.query(sql));
	await query(`CREATE DATABASE ${database} TEMPLATE template0 ${clause}`);
	try {
		return await use(database);
	} finally {
		await dropSubscriptions(server.connection(database));
		await query(`DROP DATABASE ${database} WITH (FORCE)`);
	}
}

/** A database that has some can't be dropped. */
async function dropSubscriptions(connection: PostgresConnection): Promise<void> {
	await withClient(connection, async (client) => {
		const { rows } = await client.query<{ name: string }>(
			`SELECT quote_ident(subname) AS name FROM pg_subscription
			WHERE subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())`,
		);
		for (const { name } of rows) {
			await client.query(`ALTER SUBSCRIPTION ${name} DISABLE`);
			await client.query(`ALTER SUBSCRIPTION ${name} SET (slot_name = NONE)`);
			await client.query(`DROP SUBSCRIPTION ${name}`);
		}
	});
}

/** Runs SQL with Debian's psql, which stops at the first error. */
export async function psql(
	server: PostgresServer,
	database: string,
	source: { file: string } | { sql: string },
): Promise<string> {
	const what = 'file' in source ? ['-f', source.file] : ['-c', source.sql];
	const { stdout } = await run('psql', ['-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', ...what], {
		env: { ...server.env(database), PGCLIENTENCODING: 'UTF8' },
		maxBuffer: 2 ** 30,
	});
	return stdout;
}

/** Fills a database that knows no encoding with names, rows and a function of bytes that are no UTF-8. */
export async function createBytes(server: PostgresServer, database: string): Promise<void> {
	const script = [
		'SET client_encoding = SQL_ASCII; CREATE TABLE "t\xe4\xff" ("k\xe9" text, v integer);',
		'INSERT INTO "t\xe4\xff" VALUES (\'\x80\xfe\xc3\', 1);',
		"CREATE FUNCTION f() RETURNS text LANGUAGE sql AS 'SELECT ''\xfc''::text';",
	];
	await withFolder(async (folder) => {
		const file = join(folder, 'script.sql');
		await writeFile(file, Buffer.from(script.join('\n'), 'latin1'));
		await psql(server, database, { file });
	});
}

/** Dumps a database with the engine, whole, to a file. */
export async function dumpToFile(
	connection: PostgresConnection,
	file: string,
	options: PostgresDumpOptions = {},
	context: EngineContext = {},
): Promise<TableRows[]> {
	const dump = await postgresEngine.prepareDump(connection, options, context);
	const production = await dump.start(context.signal);
	await pipeline(production.stream, createWriteStream(file), { signal: context.signal });
	return (await production.finish()).tables ?? [];
}

/** The text of a dump by the engine, its bytes as Latin-1 characters. */
export async function dumpText(
	connection: PostgresConnection,
	options: PostgresDumpOptions = {},
): Promise<string> {
	return withFolder(async (folder) => {
		const file = join(folder, 'dump.sql');
		await dumpToFile(connection, file, options);
		return readFile(file, 'latin1');
	});
}

/** What Debian's pg_dump (15) writes; servers up to 15. */
export async function nativeDumpText(server: PostgresServer, database: string): Promise<string> {
	const { stdout } = await run('pg_dump', [], {
		env: server.env(database),
		encoding: 'latin1',
		maxBuffer: 2 ** 30,
	});
	return stdout;
}

/** Without the versions, and the random key that ends psql's restricted mode. */
export function normalizeDump(text: string): string {
	return text.replace(/^-- Dumped (?:from|by) .*\n/gm, '').replace(/^(\\(?:un)?restrict) \w+$/gm, '$1');
}

/** A hash of the sorted rows of each table, by its quoted name. */
export async function rowHashes(connection: PostgresConnection): Promise<Map<string, string>> {
	return withClient(connection, async (client) => {
		const { rows: tables } = await client.query<{ name: string }>(
			`SELECT format('%I.%I', n.nspname, c.relname) AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
			WHERE c.relkind IN ('r', 'm') AND c.relispopulated AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' ORDER BY 1`,
		);
		const hashes = new Map<string, string>();
		for (const { name } of tables) {
			const { rows } = await client.query<{ row: Buffer }>(
				`SELECT t::text::bytea AS row FROM (SELECT replace(t::text, '\\', '\\\\') AS t FROM ONLY ${name} t) t ORDER BY 1`,
			);
			const hash = createHash('sha256');
			for (const { row } of rows) hash.update(`${row.length}:`).update(row);
			hashes.set(name, `${rows.length} rows, ${hash.digest('hex')}`);
		}
		return hashes;
	});
}

/**
 * Asserts that two databases are the same: the text of a dump of each (by Debian's pg_dump where it reads both servers,
 * otherwise by the engine), and every row of every table.
 */
export async function compareDatabases(
	serverA: PostgresServer,
	databaseA: string,
	serverB: PostgresServer,
	databaseB: string,
): Promise<void> {
	const sides = [
		[serverA, databaseA],
		[serverB, databaseB],
	] as const;
	const majors = await Promise.all(
		sides.map(async ([server, database]) =>
			withClient(server.connection(database), async (client) =>
				Number.parseInt(
					(await client.query<{ v: string }>("SELECT current_setting('server_version') v")).rows[0]!.v,
				),
			),
		),
	);
	const texts = await Promise.all(
		sides.map(async ([server, database]) =>
			normalizeDump(
				Math.max(...majors) <= 15
					? await nativeDumpText(server, database)
					: await dumpText(server.connection(database)),
			),
		),
	);
	assertSameText(texts[0]!, texts[1]!);
	const [a, b] = await Promise.all(
		sides.map(async ([server, database]) => rowHashes(server.connection(database))),
	);
	assert.deepEqual(b, a);
}

/** Compares long texts; says where they differ, not all they hold. */
export function assertSameText(expected: string, actual: string): void {
	if (expected === actual) return;
	const a = expected.split('\n');
	const b = actual.split('\n');
	const at = a.findIndex((line, index) => line !== b[index]);
	const line = at < 0 ? a.length : at;
	const part = (lines: string[]) => lines.slice(Math.max(0, line - 3), line + 6).join('\n');
	assert.equal(part(b), part(a), `the texts differ from line ${line + 1} on`);
	assert.fail(`the texts differ from line ${line + 1} on`);
}
