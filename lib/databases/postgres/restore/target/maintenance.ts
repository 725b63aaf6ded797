import { setTimeout as sleep } from 'node:timers/promises';

import type { Client } from 'pg';

import { LifeboatError } from '../../../../errors';
import type { EngineContext } from '../../../engine';
import { connectPostgres, type PostgresConnection } from '../../connection';
import type { DatabaseLocale } from '../../database-locale';
import { restoreError } from '../errors';

export interface TargetOptions {
	/** A database to connect to while the target is created or renamed: `postgres` unless given. */
	maintenanceDatabase?: string;
	/** Of the database that the backup is of, as the manifest has it: a database that is created gets it, where the server can. */
	locale?: DatabaseLocale;
	/**
	 * Whose settings of ALTER DATABASE, comment, security labels, owner and privileges the database has in the end: the `backup`'s, or
	 * those the `target` has. The backup's for a database that is created for all of it, else the target's, unless given.
	 */
	databaseProperties?: 'backup' | 'target';
}

/** Runs what creates, renames or drops the database of a connection, in a session outside of it. */
export async function withMaintenance<Result>(
	connection: PostgresConnection,
	options: TargetOptions,
	context: EngineContext,
	use: (admin: Client) => Promise<Result>,
): Promise<Result> {
	const admin = await connectMaintenance(connection, options, context.signal);
	try {
		return await use(admin);
	} catch (error) {
		throw restoreError(error, `restoring database ${connection.database}`);
	} finally {
		await admin.end();
	}
}

/** A session outside the database of a connection. */
export async function connectMaintenance(
	connection: PostgresConnection,
	{ maintenanceDatabase = 'postgres' }: TargetOptions,
	signal?: AbortSignal,
): Promise<Client> {
	// A session may not be in the database that is renamed.
	const database = connection.database === maintenanceDatabase ? 'template1' : maintenanceDatabase;
	const client = await connectPostgres(
		{ ...connection, database },
		{ applicationName: 'lifeboat restore', ...(signal && { signal }) },
	);
	// What the role may have set must not end a session that waits for a long restore.
	await client.query('SET statement_timeout = 0');
	return client;
}

/** How long a server that has crashed is waited for, in ms: recovery often takes seconds. */
const LONGEST_WAIT = 20_000;

/** A session as `connectMaintenance` opens it, also with a server that is just starting again. */
export async function reconnectMaintenance(
	connection: PostgresConnection,
	options: TargetOptions,
): Promise<Client> {
	for (const deadline = performance.now() + LONGEST_WAIT; ; await sleep(200)) {
		try {
			return await connectMaintenance(connection, options);
		} catch (error) {
			const isAway = error instanceof LifeboatError && /^CONNECTION_(?:FAILED|LOST)$/.test(error.code);
			if (!isAway || performance.now() > deadline) throw error;
		}
	}
}
