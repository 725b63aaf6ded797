import type { Readable } from 'node:stream';

import type { EngineContext, RestoreReport } from '../../engine';
import { connectPostgres, postgresError, type PostgresConnection } from '../connection';

import { fillDatabase } from './fill';
import type { PostgresRestoreOptions } from './options';
import { passedChecks, requireCheckable } from './passed-checks';
import { inspectContents, type DatabaseContents } from './target/inspect';
import { fillAndSwap, fillNewDatabase } from './target/target';

export type { PostgresRestoreOptions } from './options';

/**
 * Loads a dump into an existing database, a new one, or in the place of one. All of it is there afterwards, or the target
 * is as it was: into an existing database the restore is one transaction, otherwise the unfinished one is dropped.
 *
 * @throws LifeboatError among others `NOT_EMPTY`, `DATABASE_EXISTS`, `STATEMENT_FAILED`, `ROLE_MISSING`,
 * `ROW_COUNT_MISMATCH`, `CHECK_FAILED`, `INCOMPLETE`, `META_COMMAND_REFUSED`, `CONNECTION_LOST`, `CANCELLED`.
 */
export async function restorePostgres(
	connection: PostgresConnection,
	open: (signal?: AbortSignal) => Promise<Readable>,
	options: PostgresRestoreOptions = {},
	context: EngineContext = {},
): Promise<RestoreReport> {
	const { target = { kind: 'existing' } } = options;
	const { parts, intoSchema, only, content } = options;
	const isWhole = !parts && !intoSchema && !only && content !== 'data';
	requireCheckable(options);
	const fill = async (to: PostgresConnection, isNew: boolean) => {
		const report = await fillDatabase(
			to,
			open,
			{
				databaseProperties: isNew && isWhole ? 'backup' : 'target',
				...options,
				...(target.kind !== 'existing' && { ifNotEmpty: 'stop' }),
			},
			context,
			connection.database,
		);
		const checks = await passedChecks(to, connection.database, options, context);
		return { ...report, ...(checks && { checks }) };
	};
	try {
		switch (target.kind) {
			case 'existing':
				return await fill(connection, false);
			case 'new': {
				const { result, warnings } = await fillNewDatabase(connection, options, context, fill);
				return { ...result, warnings: [...warnings, ...result.warnings] };
			}
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
