import { LifeboatError } from '../../../errors';
import type { Dump, EngineContext } from '../../engine';
import { connectPostgres, type PostgresConnection } from '../connection';
import { readDatabaseLocale } from '../database-locale';
import { postgresError } from '../errors';
import { assertSession } from '../session';
import { clientArguments, startClientDump } from '../client/client-dump';
import { findPgDump, type ClientProgram } from '../client/program';

import { startArchiveDump } from './archive-dump';
import type { PostgresDumpOptions } from './options';
import { pgDumpMajor } from './pg-dump-thread';
import { startPlainDump } from './plain-dump';

/** The oldest server that the built-in pg_dump can read. */
const oldestVersion = 9.2;

/** Encodings that don't convert to UTF-8: the server can't, or keeps bytes without knowing what they mean. */
const unconvertible = new Set(['SQL_ASCII', 'MULE_INTERNAL']);

/**
 * Connects, and checks that the server can be dumped.
 *
 * @throws LifeboatError as `connectPostgres`; `SERVER_TOO_NEW`, `SERVER_TOO_OLD`, `POOLED`, `OPTIONS_CONFLICT`, `CLIENT_NOT_FOUND`.
 */
export async function preparePostgresDump(
	connection: PostgresConnection,
	options: PostgresDumpOptions,
	context: EngineContext = {},
): Promise<Dump> {
	if (options.schemaOnly && options.dataOnly) {
		throw new LifeboatError('OPTIONS_CONFLICT', 'A dump can’t be both schema only and data only', {
			hint: 'Switch one of the two options off',
		});
	}
	const parameters = new Map<string, string>();
	const client = await connectPostgres(connection, { signal: context.signal, parameters });
	try {
		// What pg_dump itself goes by.
		const serverVersion = parameters.get('server_version') ?? '';
		const program = options.client && (await findPgDump(options.client.path, context.signal));
		assertVersion(serverVersion, connection, program);
		await assertSession(client, connection, context.signal).catch((error: unknown) => {
			throw postgresError(error, `looking at database ${connection.database}`);
		});
		const locale = await readDatabaseLocale(client).catch((error: unknown) => {
			throw postgresError(error, `looking at database ${connection.database}`);
		});
		const encoding = unconvertible.has(locale.encoding) ? locale.encoding : 'UTF8';
		const isArchive = options.format === 'custom';
		const settings = { connection, options, encoding };
		if (program) clientArguments({ ...settings, program });
		return {
			source: {
				type: 'database',
				engine: 'postgresql',
				serverVersion,
				database: connection.database,
				locale,
				...(options.includeHost ? { host: connection.host } : {}),
			},
			...(isArchive
				? { format: 'pg-custom' as const, extension: '.dump' }
				: { format: 'plain-sql' as const, extension: '.sql' }),
			start: async (signal = context.signal) => {
				const running = { ...context, signal };
				if (program) return startClientDump({ ...settings, program }, running);
				return (isArchive ? startArchiveDump : startPlainDump)(settings, running);
			},
		};
	} finally {
		await client.end();
	}
}

function assertVersion(
	version: string,
	{ database }: PostgresConnection,
	program: ClientProgram | undefined,
): void {
	const number = Number.parseFloat(version);
	if (program) {
		if (program.major >= Math.trunc(number)) return;
		throw new LifeboatError(
			'SERVER_TOO_NEW',
			`The server of database ${database} is PostgreSQL ${version}; ${program.path} is of version ${program.version}`,
			{ hint: 'A pg_dump reads servers up to its own version: use a newer one, or the built-in engine' },
		);
	}
	if (Math.trunc(number) > pgDumpMajor) {
		throw new LifeboatError(
			'SERVER_TOO_NEW',
			`The server of database ${database} is PostgreSQL ${version}; this version of Lifeboat dumps servers up to ${pgDumpMajor}`,
			{ hint: 'Update n8n-nodes-lifeboat, or use a pg_dump of that version' },
		);
	}
	if (!(number >= oldestVersion)) {
		throw new LifeboatError(
			'SERVER_TOO_OLD',
			`The server of database ${database} is PostgreSQL ${version}; Lifeboat dumps servers from ${oldestVersion} on`,
			{ hint: 'Use the pg_dump of that server' },
		);
	}
}
