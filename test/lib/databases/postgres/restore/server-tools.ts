import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { promisify } from 'node:util';

import {
	restorePostgres,
	type PostgresRestoreOptions,
} from '../../../../../lib/databases/postgres/restore/restore';
import type { EngineContext, RestoreReport } from '../../../../../lib/databases/engine';
import type { PostgresServer } from '../../../../servers/postgres';

const run = promisify(execFile);

/** A schema with an object of every kind, for server 13 and later, and what 14 and 15 add to it. */
export const tortureSql = join(__dirname, 'torture.sql');
export const torture14Sql = join(__dirname, 'torture-14.sql');

/** Runs statements with psql, which stops at the first error. @returns what it prints, unaligned. */
export async function psql(
	server: PostgresServer,
	database: string,
	...statements: string[]
): Promise<string> {
	const args = ['-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', ...statements.flatMap((sql) => ['-c', sql])];
	const { stdout } = await run('psql', args, { env: server.env(database), maxBuffer: 2 ** 30 });
	return stdout.trim();
}

/** Loads a file with psql. */
export async function psqlFile(server: PostgresServer, database: string, path: string): Promise<void> {
	await run('psql', ['-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', path], { env: server.env(database) });
}

/** What Debian's pg_dump 15 writes of a database on a server up to version 15. */
export async function pgDump(server: PostgresServer, database: string, ...args: string[]): Promise<Buffer> {
	const { stdout } = await run('pg_dump', args, {
		env: server.env(database),
		maxBuffer: 2 ** 30,
		encoding: 'buffer',
	});
	return stdout;
}

/** The whole content of a database as text, to be compared: a dump without the key of its \restrict lines. */
export async function contentOf(server: PostgresServer, database: string): Promise<string> {
	return (await pgDump(server, database)).toString('latin1').replace(/^\\(un)?restrict .*$/gm, '');
}

/** A fresh, empty database. */
export async function createDatabase(server: PostgresServer, name: string, options = ''): Promise<string> {
	await psql(server, 'postgres', `CREATE DATABASE "${name}" ${options}`);
	return name;
}

/** Creates the database `source` with 100 orders and 50 items. @returns a custom archive of it. */
export async function dumpOfShop(server: PostgresServer): Promise<Buffer> {
	await createDatabase(server, 'source');
	await psql(
		server,
		'source',
		'CREATE TABLE orders (id serial PRIMARY KEY); CREATE TABLE items (id int PRIMARY KEY); CREATE INDEX ON items (id)',
		'INSERT INTO orders SELECT FROM generate_series(1, 100); INSERT INTO items SELECT generate_series(1, 50)',
	);
	return await pgDump(server, 'source', '-Fc');
}

/** Creates the roles that the torture schema names. */
export async function createRoles(server: PostgresServer): Promise<void> {
	await psql(server, 'postgres', 'CREATE ROLE reader', 'CREATE ROLE owner', 'CREATE ROLE "Ö; owner"');
}

/** Restores a script given as text or bytes, in chunks of 64 KiB as a file would come. */
export async function restore(
	server: PostgresServer,
	database: string,
	script: string | Buffer,
	options: PostgresRestoreOptions = {},
	context: EngineContext = {},
): Promise<RestoreReport> {
	const bytes = Buffer.from(script);
	return await restorePostgres(
		server.connection(database),
		async () => Readable.from(inChunks(bytes)),
		options,
		context,
	);
}

function* inChunks(bytes: Buffer): Generator<Buffer> {
	for (let from = 0; from < bytes.length; from += 65_536) yield bytes.subarray(from, from + 65_536);
}
