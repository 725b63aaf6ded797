import type { Readable } from 'node:stream';

import type { Client } from 'pg';

import type { TableRows } from '../../../artifact/manifest';
import { LifeboatError } from '../../../errors';
import type { EngineContext, RestoreReport } from '../../engine';
import { readArchive } from '../archive/reader';
import type { EntrySelection } from '../archive/types';
import { connectPostgres, postgresError, type PostgresConnection } from '../connection';

import { archiveScript } from './archive-script';
import { cleanDatabase } from './clean';
import { detectFormat } from './content-format';
import { restoreError, unchanged, type RestoreSetting } from './errors';
import { inspectContents, summarizeContents, type DatabaseContents } from './inspect';
import { ScriptRunner } from './plain-sql';
import { LoadedRows, verifyRowCounts } from './row-counts';
import type { RuleOptions } from './rules';
import { SqlLexer } from './sql-lexer';
import { fillAndSwap, fillNewDatabase, type RestoreTarget, type TargetOptions } from './target';

/** How a database is restored. */
export interface PostgresRestoreOptions extends RuleOptions, TargetOptions {
	/** Where the backup goes; an existing database unless given. */
	target?: RestoreTarget;
	/**
	 * What to do when the database holds something already: `stop`, the default, or `clean`, which removes all of it. A
	 * restore that fails leaves it as it was in either case.
	 */
	ifNotEmpty?: 'stop' | 'clean';
	/** The rows in each table as the manifest lists them: they are counted before anything becomes visible. */
	expectedTables?: readonly TableRows[];
	/** Which parts of a custom archive to restore, as pg_restore takes them; all unless given. */
	only?: EntrySelection;
	/** Collect statistics for the query planner afterwards. */
	analyze?: boolean;
	/** How long to wait for a lock that another session holds, in ms; 60,000 unless given, 0 for ever. */
	lockTimeoutMs?: number;
}

/** The key of the advisory lock that keeps two restores into one database apart: "lifeboat" in ASCII. */
const RESTORE_LOCK = '7811887554127131508';

/**
 * Loads a dump into an existing database, a new one, or in the place of one. All of it is there afterwards, or the target
 * is as it was: into an existing database the restore is one transaction, otherwise the unfinished one is dropped.
 *
 * @throws LifeboatError among others `NOT_EMPTY`, `DATABASE_EXISTS`, `STATEMENT_FAILED`, `ROLE_MISSING`,
 * `ROW_COUNT_MISMATCH`, `INCOMPLETE`, `META_COMMAND_REFUSED`, `CONNECTION_LOST`, `CANCELLED`.
 */
export async function restorePostgres(
	connection: PostgresConnection,
	open: (signal?: AbortSignal) => Promise<Readable>,
	options: PostgresRestoreOptions = {},
	context: EngineContext = {},
): Promise<RestoreReport> {
	const { target = { kind: 'existing' } } = options;
	const fill = (to: PostgresConnection) =>
		restoreInto(to, open, { ...options, ...(target.kind !== 'existing' && { ifNotEmpty: 'stop' }) }, context);
	try {
		switch (target.kind) {
			case 'existing':
				return await fill(connection);
			case 'new':
				return await fillNewDatabase(connection, options, context, fill);
			case 'swap': {
				const { result, keptAs, warnings } = await fillAndSwap(connection, target, options, context, fill);
				return {
					...result,
					database: connection.database,
					...(keptAs !== undefined && { keptAs }),
					warnings: [...result.warnings, ...warnings],
				};
			}
		}
	} catch (error) {
		// Whatever the abort broke first (the source, the socket, the query): it is the abort that ended the restore.
		const { signal } = context;
		if (signal?.aborted) throw postgresError(signal.reason, `restoring database ${connection.database}`);
		throw error;
	}
}

async function restoreInto(
	connection: PostgresConnection,
	open: (signal?: AbortSignal) => Promise<Readable>,
	options: PostgresRestoreOptions,
	context: EngineContext,
): Promise<RestoreReport> {
	const { signal } = context;
	const client = await connectPostgres(connection, {
		...(signal && { signal }),
		applicationName: 'lifeboat restore',
	});
	try {
		return await restoreOver(client, connection.database, open, options, context);
	} finally {
		await client.end();
	}
}

/** What is in a database, for a look before a restore. */
export async function inspectDatabase(
	connection: PostgresConnection,
	{ signal }: Pick<EngineContext, 'signal'> = {},
): Promise<DatabaseContents> {
	const client = await connectPostgres(connection, {
		...(signal && { signal }),
		applicationName: 'lifeboat restore',
	});
	try {
		return await inspectContents(client);
	} catch (error) {
		throw postgresError(error, `looking into database ${connection.database}`);
	} finally {
		await client.end();
	}
}

async function restoreOver(
	client: Client,
	database: string,
	open: (signal?: AbortSignal) => Promise<Readable>,
	options: PostgresRestoreOptions,
	context: EngineContext,
): Promise<RestoreReport> {
	const doing = `restoring database ${database}`;
	const source = await open(context.signal);
	// Whoever reads the source is told; while nobody does, its failure must not end the process.
	source.on('error', () => undefined);
	const stopReading = () => source.destroy(asError(context.signal?.reason));
	context.signal?.addEventListener('abort', stopReading, { once: true });
	try {
		const { serverSettings, warnings } = await prepare(client, database, options).catch((error: unknown) => {
			throw restoreError(error, doing);
		});
		const { format, bytes } = await detectFormat(source);
		if (options.only && format !== 'pg-custom') {
			throw new LifeboatError('INVALID_OPTION', 'Parts to restore were chosen, but the backup is plain SQL', {
				hint: 'Restore all of it, or take backups in the custom format, of which parts can be restored',
			});
		}
		const archive = format === 'pg-custom' ? await readArchive(bytes) : undefined;
		const setting: RestoreSetting = { database, serverVersion: serverSettings.get('server_version') ?? '' };
		const lexer = new SqlLexer(archive ? archiveScript(archive, options.only) : bytes);
		const loaded = new LoadedRows();
		const { expectedTables } = options;
		const runner = new ScriptRunner(
			client,
			lexer,
			loaded,
			setting,
			{
				...options,
				serverSettings: new Set(serverSettings.keys()),
				...(expectedTables && { tablesTotal: expectedTables.length }),
				bytesRead: () => archive?.position ?? lexer.position,
			},
			context,
		);
		const script = await runner.run();
		assertWhole(lexer);
		try {
			const tables = await finish(client, database, loaded, options, context);
			await commit(client, database);
			if (options.analyze) await client.query('ANALYZE');
			return { database, statements: script.statements, tables, warnings: [...warnings, ...script.warnings] };
		} catch (error) {
			throw restoreError(error, doing);
		}
	} catch (error) {
		await rollback(client);
		throw error;
	} finally {
		context.signal?.removeEventListener('abort', stopReading);
		source.destroy();
	}
}

/** Opens the transaction and makes sure that the database is empty. */
async function prepare(
	client: Client,
	database: string,
	options: PostgresRestoreOptions,
): Promise<{ serverSettings: Map<string, string>; warnings: string[] }> {
	const { rows } = await client.query<{ name: string; setting: string }>(
		'SELECT name, setting FROM pg_catalog.pg_settings',
	);
	const serverSettings = new Map(rows.map(({ name, setting }) => [name, setting]));
	// What the role or the database may have set would break off a long restore, or change what the script means.
	const wanted: Record<string, string> = {
		statement_timeout: '0',
		idle_in_transaction_session_timeout: '0',
		transaction_timeout: '0',
		lock_timeout: String(options.lockTimeoutMs ?? 60_000),
		client_min_messages: 'warning',
		standard_conforming_strings: 'on',
	};
	for (const [name, value] of Object.entries(wanted)) {
		if (serverSettings.has(name)) await client.query(`SET ${name} = ${value}`);
	}
	await client.query('BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE');
	const lock = await client.query<{ locked: string }>(
		`SELECT CASE WHEN pg_catalog.pg_try_advisory_xact_lock(${RESTORE_LOCK}) THEN 'yes' ELSE 'no' END AS locked`,
	);
	if (lock.rows[0]?.locked !== 'yes') {
		throw new LifeboatError('RESTORE_RUNNING', `Another restore into database ${database} is running`, {
			hint: 'Wait until it has ended, or stop it, then run the node again',
		});
	}
	if (options.ifNotEmpty === 'clean') return { serverSettings, warnings: await cleanDatabase(client) };
	const { empty, objects } = await inspectContents(client);
	if (!empty) {
		throw new LifeboatError(
			'NOT_EMPTY',
			`Database ${database} is not empty: ${summarizeContents(objects)}. Nothing was changed`,
			{
				hint: 'Restore into an empty database, or choose to clean the target first, which removes all that is in it',
			},
		);
	}
	return { serverSettings, warnings: [] };
}

/** A script that pg_dump wrote ends with its last line; any script holds something. */
function assertWhole({ comments, hasContent }: SqlLexer): void {
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

/** Checks what was loaded, free of what the script has set. */
async function finish(
	client: Client,
	database: string,
	loaded: LoadedRows,
	options: PostgresRestoreOptions,
	context: EngineContext,
): Promise<TableRows[]> {
	await client.query("SET client_encoding = 'UTF8'");
	await client.query('SET CONSTRAINTS ALL IMMEDIATE');
	const tables = await loaded.resolved(client);
	await client.query('RESET SESSION AUTHORIZATION');
	await client.query('RESET ROLE');
	await client.query('SET search_path = pg_catalog');
	await client.query('SET row_security = off');
	await client.query('SET statement_timeout = 0');
	const { expectedTables } = options;
	if (!expectedTables) return tables;
	// Of a part of the backup, only the tables that were loaded can be compared.
	const compared = options.only
		? expectedTables.filter(({ schema, name }) => loaded.of(schema, name) !== undefined)
		: expectedTables;
	return await verifyRowCounts(client, database, compared, loaded, (done) =>
		context.onProgress?.({ step: 'counting rows', tablesDone: done, tablesTotal: compared.length }),
	);
}

async function commit(client: Client, database: string): Promise<void> {
	const result = await client.query('COMMIT').catch((error: unknown) => {
		const known = postgresError(error, `restoring database ${database}`);
		if (known.code !== 'CONNECTION_LOST') throw error;
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
async function rollback(client: Client): Promise<void> {
	await client.query('ROLLBACK').catch(() => undefined);
}

function asError(reason: unknown): Error {
	return reason instanceof Error ? reason : new Error('cancelled');
}
