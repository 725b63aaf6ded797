import type { Readable } from 'node:stream';

import type { Client } from 'pg';

import { LifeboatError } from '../../../errors';
import type { EngineContext, RestoreReport } from '../../engine';
import { readArchive } from '../archive/reader';
import type { ArchiveReader } from '../archive/types';
import { connectPostgres, postgresError, type PostgresConnection } from '../connection';

import { archiveScript } from './archive-script';
import { detectFormat } from './content-format';
import { restoreError, type RestoreSetting } from './errors';
import { inspectContents, type DatabaseContents } from './inspect';
import { ScriptRunner } from './plain-sql';
import type { PostgresRestoreOptions } from './options';
import { LoadedRows } from './row-counts';
import { SqlLexer } from './sql-lexer';
import { fillAndSwap, fillNewDatabase } from './target';
import { assertWhole, beginRestore, checkLoaded, commitRestore, rollBackRestore } from './transaction';

export type { PostgresRestoreOptions } from './options';

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
	let archive: ArchiveReader | undefined;
	try {
		const { serverSettings, warnings } = await beginRestore(client, database, options).catch(
			(error: unknown) => {
				throw restoreError(error, doing);
			},
		);
		const { format, bytes } = await detectFormat(source);
		if (options.only && format !== 'pg-custom') {
			throw new LifeboatError('INVALID_OPTION', 'Parts to restore were chosen, but the backup is plain SQL', {
				hint: 'Restore all of it, or take backups in the custom format, of which parts can be restored',
			});
		}
		archive = format === 'pg-custom' ? await readArchive(bytes) : undefined;
		const reader = archive;
		const setting: RestoreSetting = { database, serverVersion: serverSettings.get('server_version') ?? '' };
		const lexer = new SqlLexer(reader ? archiveScript(reader, options.only) : bytes);
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
				bytesRead: () => reader?.position ?? lexer.position,
			},
			context,
		);
		const script = await runner.run();
		assertWhole(lexer);
		try {
			const tables = await checkLoaded(client, database, loaded, options, context);
			await commitRestore(client, database);
			const all = [...warnings, ...script.warnings, ...(options.analyze ? await analyze(client) : [])];
			return { database, statements: script.statements, tables, warnings: all };
		} catch (error) {
			throw restoreError(error, doing);
		}
	} catch (error) {
		await rollBackRestore(client);
		throw error;
	} finally {
		context.signal?.removeEventListener('abort', stopReading);
		source.destroy();
		// What ended the reading has been told, or it was read to its end.
		await archive?.close().catch(() => undefined);
	}
}

/** Whether it works or not, the restore is done by now. @returns warnings */
async function analyze(client: Client): Promise<string[]> {
	try {
		await client.query('ANALYZE');
		return [];
	} catch (error) {
		return [postgresError(error, 'collecting statistics after the restore').message];
	}
}

function asError(reason: unknown): Error {
	return reason instanceof Error ? reason : new Error('cancelled');
}
