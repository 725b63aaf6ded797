import type { Client } from 'pg';

import type { TableRows } from '../../../artifact/manifest';
import { LifeboatError } from '../../../errors';
import type { EngineContext } from '../../engine';
import { postgresError } from '../connection';

import { cleanDatabase } from './target/clean';
import { unchanged } from './errors';
import { inspectContents, summarizeContents } from './target/inspect';
import { isPartial } from './parts/kinds';
import type { PartialRestore } from './parts/partial';
import type { PostgresRestoreOptions } from './options';
import { verifyRowCounts, type LoadedRows } from './row-counts';
import { prepareSession } from './session';
import type { SqlLexer } from './sql/lexer';

/** The key of the advisory lock that keeps two restores into one database apart: "lifeboat" in ASCII. */
const RESTORE_LOCK = '7811887614280032628';

/** Opens the transaction and makes sure that the database is empty. */
export async function beginRestore(
	client: Client,
	database: string,
	options: PostgresRestoreOptions,
): Promise<{ serverSettings: Map<string, string>; warnings: string[] }> {
	const { lockTimeoutMs, parallelConnections } = options;
	const serverSettings = await prepareSession(client, {
		...(lockTimeoutMs !== undefined && { lockTimeoutMs }),
		...(parallelConnections !== undefined && { connections: parallelConnections }),
	});
	await client.query('BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE');
	const lock = await client.query<{ locked: string }>(
		`SELECT CASE WHEN pg_catalog.pg_try_advisory_xact_lock(${RESTORE_LOCK}) THEN 'yes' ELSE 'no' END AS locked`,
	);
	if (lock.rows[0]?.locked !== 'yes') {
		throw new LifeboatError('RESTORE_RUNNING', `Another restore into database ${database} is running`, {
			hint: 'Wait until it has ended, or stop it, then run the node again',
		});
	}
	if (isPartial(options)) return { serverSettings, warnings: [] };
	if (options.ifNotEmpty === 'clean') return { serverSettings, warnings: await cleanDatabase(client) };
	const { empty, objects } = await inspectContents(client);
	if (!empty) {
		throw new LifeboatError(
			'NOT_EMPTY',
			`Database ${database} is not empty: ${summarizeContents(objects)}. Nothing was changed`,
			{
				hint: 'Restore into an empty database, or set If Target Is Not Empty to Merge, or to Remove Everything in It',
			},
		);
	}
	return { serverSettings, warnings: [] };
}

/** A script that pg_dump wrote ends with its last line; any script holds something. */
export function assertWhole({ comments, hasContent }: SqlLexer): void {
	if (!hasContent) {
		throw new LifeboatError('INCOMPLETE', `The SQL script holds no statement. ${unchanged}`, {
			hint: 'The file is empty or cut off. Restore from another copy of this backup, or from an older one',
		});
	}
	if (comments.header && !comments.trailer) {
		throw new LifeboatError(
			'INCOMPLETE',
			`The SQL script ends without pg_dump's last line, "PostgreSQL database dump complete". ${unchanged}`,
			{ hint: 'The file is cut off. Restore from another copy of this backup, or from an older one' },
		);
	}
}

/**
 * Checks what was loaded, free of what the script has set.
 *
 * @param trustLoaded as `verifyRowCounts` takes it.
 */
export async function checkLoaded(
	client: Client,
	database: string,
	loaded: LoadedRows,
	options: PostgresRestoreOptions,
	context: EngineContext,
	trustLoaded = false,
	partial?: PartialRestore,
): Promise<TableRows[]> {
	await client.query("SET client_encoding = 'UTF8'");
	await client.query('SET CONSTRAINTS ALL IMMEDIATE');
	const tables = await loaded.resolved(client);
	await client.query('RESET SESSION AUTHORIZATION');
	await client.query('RESET ROLE');
	await client.query('SET search_path = pg_catalog');
	await client.query('SET row_security = off');
	await client.query('SET statement_timeout = 0');
	await partial?.finish();
	const { expectedTables } = options;
	if (!expectedTables) return tables;
	// Of a part of the backup, only the tables that were loaded can be compared.
	const compared = options.only
		? expectedTables.filter(({ schema, name }) => loaded.of(schema, name) !== undefined)
		: expectedTables;
	return await verifyRowCounts(client, database, compared, loaded, {
		trustLoaded,
		onTable: (done) =>
			context.onProgress?.({ step: 'counting rows', tablesDone: done, tablesTotal: compared.length }),
	});
}

/** @param isBeside nobody uses the database yet: unless all went well, it is removed. */
export async function commitRestore(client: Client, database: string, isBeside: boolean): Promise<void> {
	const result = await client.query('COMMIT').catch((error: unknown) => {
		const known = postgresError(error, `restoring database ${database}`);
		if (known.code !== 'CONNECTION_LOST' || isBeside) throw error;
		throw new LifeboatError(
			'COMMIT_UNKNOWN',
			`The connection to database ${database} was lost at the very end of the restore, while it became visible`,
			{
				hint: 'Look into the database: either all of the backup is there and nothing has to be done, or nothing of it, and the restore can be run again',
				cause: error,
			},
		);
	});
	if (result.command === 'COMMIT') return;
	throw new LifeboatError(
		'STATEMENT_FAILED',
		`The server rolled the restore of database ${database} back. ${unchanged}`,
		{
			hint: 'See the log of the PostgreSQL server',
		},
	);
}

/** Best effort: the server rolls back by itself when the session ends, which it does next. */
export async function rollBackRestore(client: Client): Promise<void> {
	await client.query('ROLLBACK').catch(() => undefined);
}
