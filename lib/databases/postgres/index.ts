import type { DatabaseEngine } from '../engine';

import type { PostgresConnection } from './connection';
import { preparePostgresDump, type PostgresDumpOptions } from './dump';
import { restorePostgres, type PostgresRestoreOptions } from './restore/restore';

/** PostgreSQL, by its own pg_dump in WebAssembly and a restore of the project's own: no client binary is needed. */
export const postgresEngine: DatabaseEngine<PostgresConnection, PostgresDumpOptions, PostgresRestoreOptions> =
	{
		name: 'postgresql',
		prepareDump: preparePostgresDump,
		restore: restorePostgres,
	};

export { prepareGlobalsDump, type GlobalsOptions } from './globals/globals';
export { databaseOverview, listDatabases, serverDatabases } from './overview';
export type { DatabaseOverview, ServerDatabase, TableOverview } from './overview';
export type { PostgresConnection } from './connection';
export type { PostgresDumpOptions } from './dump';
export type { PostgresRestoreOptions } from './restore/restore';
