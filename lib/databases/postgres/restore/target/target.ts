import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';

import type { Client } from 'pg';

import { LifeboatError } from '../../../../errors';
import type { EngineContext } from '../../../engine';
import { connectPostgres, postgresError, type PostgresConnection } from '../../connection';
import { quoteIdentifier, quoteLiteral } from '../../identifiers';

import { createStatement, databaseExists, propertyStatements } from './database-properties';

/** Where a backup goes. The database is the one that the connection names, in all cases. */
export type RestoreTarget =
	/** A database that is there: it must be empty, or is cleaned. */
	| { kind: 'existing' }
	/** A database that is not there yet. */
	| { kind: 'new' }
	/**
	 * A database whose present content is replaced in one moment, once the backup was restored beside it and checked.
	 * Sessions that use it are ended at that moment; until then it serves them as ever.
	 */
	| {
			kind: 'swap';
			/** What becomes of the present content: `keep` it under a dated name, the default, or `drop` it. */
			old?: 'keep' | 'drop';
			/** The moment whose date the kept database is named after. */
			now?: Date;
	  };

export interface TargetOptions {
	/** A database to connect to while the target is created or renamed: `postgres` unless given. */
	maintenanceDatabase?: string;
}

/** What `fill` may be asked to do: restore into the database of a connection, which is empty. */
type Fill<Result> = (connection: PostgresConnection) => Promise<Result>;

/** PostgreSQL cuts longer names off. */
const LONGEST_NAME = 63;
const SWAP_LOCK = 1_818_846_562;

/** The comment of a database that is being filled, by which a later restore knows what one that was killed has left. */
function unfinished(database: string): string {
	return `Lifeboat: unfinished restore of ${database}`;
}

/**
 * Creates a database and fills it. If that fails, the database is dropped again.
 *
 * @returns with warnings. @throws LifeboatError `DATABASE_EXISTS`, `RESTORE_RUNNING`, `NOT_PERMITTED`, and what `fill` throws.
 */
export async function fillNewDatabase<Result>(
	connection: PostgresConnection,
	options: TargetOptions,
	context: EngineContext,
	fill: Fill<Result>,
): Promise<{ result: Result; warnings: string[] }> {
	return await withMaintenance(connection, options, context, async (admin) => {
		const { database } = connection;
		await lockDatabase(admin, database);
		const warnings = await removeUnfinished(admin, database);
		if (await databaseExists(admin, database)) {
			throw new LifeboatError(
				'DATABASE_EXISTS',
				`There is a database ${database} already. Nothing was changed`,
				{
					hint: 'Choose another name, or choose to replace that database',
				},
			);
		}
		return { result: await createAndFill(admin, connection, options, fill), warnings };
	});
}

async function createAndFill<Result>(
	admin: Client,
	connection: PostgresConnection,
	options: TargetOptions,
	fill: Fill<Result>,
): Promise<Result> {
	const { database } = connection;
	await admin.query(await createStatement(admin, database));
	return await dropUnlessFilled(connection, options, async () => {
		await admin.query(commentStatement(database, unfinished(database)));
		const result = await fill(connection);
		// The script may have put a comment of its own there.
		if ((await commentOf(admin, database)) === unfinished(database))
			await admin.query(commentStatement(database, null));
		return result;
	});
}

/**
 * Fills a database beside the one that the connection names, then puts it in that one's place. If anything fails, the
 * old one stays as it is.
 *
 * @returns with the name under which the old one is kept, if it is.
 */
export async function fillAndSwap<Result>(
	connection: PostgresConnection,
	target: Extract<RestoreTarget, { kind: 'swap' }>,
	options: TargetOptions,
	context: EngineContext,
	fill: Fill<Result>,
): Promise<{ result: Result; keptAs?: string; warnings: string[] }> {
	const { database } = connection;
	return await withMaintenance(connection, options, context, async (admin) => {
		await lockDatabase(admin, database);
		const warnings = await removeUnfinished(admin, database);
		if (!(await databaseExists(admin, database))) {
			return { result: await createAndFill(admin, connection, options, fill), warnings };
		}
		const scratch = nameWith(database, `_restore_${randomBytes(4).toString('hex')}`);
		const beside = { ...connection, database: scratch };
		await admin.query(await createStatement(admin, scratch, database));
		const old = await freeName(admin, database, `_before_${dated(target.now ?? new Date())}`);
		const result = await dropUnlessFilled(beside, options, async () => {
			await admin.query(commentStatement(scratch, unfinished(database)));
			const filled = await fill(beside);
			context.signal?.throwIfAborted();
			context.onProgress?.({ step: `putting the restored database in the place of ${database}` });
			const comment = commentStatement(scratch, await commentOf(admin, database));
			for (const sql of await propertyStatements(admin, database, scratch))
				if (!sql.startsWith('COMMENT')) await admin.query(sql);
			await swap(admin, connection, options, { scratch, old, comment });
			return filled;
		});
		if (target.old !== 'drop') return { result, keptAs: old, warnings };
		try {
			await admin.query(`DROP DATABASE ${quoteIdentifier(old)} WITH (FORCE)`);
			return { result, warnings };
		} catch (error) {
			const reason = postgresError(error, `dropping the old database, which is now called ${old},`).message;
			return { result, keptAs: old, warnings: [...warnings, reason] };
		}
	});
}

/** Keeps two restores of one database apart, until the session ends. @throws LifeboatError `RESTORE_RUNNING` */
async function lockDatabase(admin: Client, database: string): Promise<void> {
	const { rows } = await admin.query<{ locked: string }>(
		`SELECT CASE WHEN pg_catalog.pg_try_advisory_lock(${SWAP_LOCK}, pg_catalog.hashtext($1)) THEN 'yes' ELSE 'no' END AS locked`,
		[database],
	);
	if (rows[0]?.locked === 'yes') return;
	throw new LifeboatError('RESTORE_RUNNING', `Another restore is about to replace database ${database}`, {
		hint: 'Wait until it has ended, or stop it, then run the node again',
	});
}

/**
 * Drops what restores of this database have left that were killed: none runs now, for they would hold the lock.
 *
 * @returns warnings
 */
async function removeUnfinished(admin: Client, database: string): Promise<string[]> {
	const { rows } = await admin.query<{ name: string; comment: string | null }>(
		`SELECT datname::text AS name, pg_catalog.shobj_description(oid, 'pg_database') AS comment FROM pg_catalog.pg_database
		WHERE NOT datistemplate ORDER BY 1`,
	);
	const warnings: string[] = [];
	const start = nameWith(database, '_restore_00000000').slice(0, -8);
	for (const { name, comment } of rows) {
		if (comment === unfinished(database)) {
			await admin.query(`DROP DATABASE ${quoteIdentifier(name)} WITH (FORCE)`);
			warnings.push(`The database ${name}, which a restore had left that was killed, was removed`);
		} else if (name.startsWith(start) && /^[0-9a-f]{8}$/.test(name.slice(start.length)) && comment === null) {
			// Killed between two statements, or somebody's own: who knows drops it.
			warnings.push(
				`The database ${name} looks like one that a killed restore has left. If nobody needs it, drop it`,
			);
		}
	}
	return warnings;
}

async function commentOf(admin: Client, database: string): Promise<string | null> {
	const { rows } = await admin.query<{ comment: string | null }>(
		`SELECT pg_catalog.shobj_description(oid, 'pg_database') AS comment FROM pg_catalog.pg_database WHERE datname = $1`,
		[database],
	);
	return rows[0]?.comment ?? null;
}

function commentStatement(database: string, comment: string | null): string {
	return `COMMENT ON DATABASE ${quoteIdentifier(database)} IS ${comment === null ? 'NULL' : quoteLiteral(comment)}`;
}

/** A name that no database has: two restores within a second would take the same one. */
async function freeName(admin: Client, database: string, suffix: string): Promise<string> {
	let name = nameWith(database, suffix);
	for (let number = 2; await databaseExists(admin, name); number++)
		name = nameWith(database, `${suffix}_${number}`);
	return name;
}

/** Both renames happen in one transaction, while new sessions wait at the door and those inside are ended. */
async function swap(
	admin: Client,
	connection: PostgresConnection,
	options: TargetOptions,
	{ scratch, old, comment }: { scratch: string; old: string; comment: string },
): Promise<void> {
	const { database } = connection;
	const bouncer = await connectMaintenance(connection, options);
	let done = false;
	const bounce = (async () => {
		while (!done) {
			await bouncer.query(
				`SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity WHERE datname IN (${quoteLiteral(database)}, ${quoteLiteral(scratch)})`,
			);
			await sleep(100);
		}
	})();
	// Awaited below; a rename that fails first must not leave it unhandled.
	bounce.catch(() => undefined);
	try {
		await admin.query('BEGIN');
		// The lock is waited for no longer than the server itself waits for sessions to go.
		await admin.query(`SET LOCAL lock_timeout = '10s'`);
		await admin.query(comment);
		await admin.query(`ALTER DATABASE ${quoteIdentifier(database)} RENAME TO ${quoteIdentifier(old)}`);
		await admin.query(`ALTER DATABASE ${quoteIdentifier(scratch)} RENAME TO ${quoteIdentifier(database)}`);
		await admin.query('COMMIT');
	} catch (error) {
		await admin.query('ROLLBACK');
		throw error;
	} finally {
		done = true;
		await bounce.finally(() => bouncer.end());
	}
}

async function dropUnlessFilled<Result>(
	connection: PostgresConnection,
	options: TargetOptions,
	fill: Fill<Result>,
): Promise<Result> {
	try {
		return await fill(connection);
	} catch (error) {
		// A session of its own: the one at hand may be what was lost or cancelled.
		const admin = await connectMaintenance(connection, options).catch(() => undefined);
		const drop = `DROP DATABASE IF EXISTS ${quoteIdentifier(connection.database)} WITH (FORCE)`;
		const dropped = await admin?.query(drop).catch(() => undefined);
		await admin?.end();
		if (dropped) throw error;
		const known = postgresError(error, `restoring database ${connection.database}`);
		throw new LifeboatError(known.code, known.message, {
			hint: `${known.hint ?? ''}. The unfinished database ${connection.database} could not be removed: drop it by hand`,
			cause: error,
		});
	}
}

async function withMaintenance<Result>(
	connection: PostgresConnection,
	options: TargetOptions,
	context: EngineContext,
	use: (admin: Client) => Promise<Result>,
): Promise<Result> {
	const admin = await connectMaintenance(connection, options, context.signal);
	try {
		return await use(admin);
	} catch (error) {
		throw postgresError(error, `restoring database ${connection.database}`);
	} finally {
		await admin.end();
	}
}

async function connectMaintenance(
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

function nameWith(database: string, suffix: string): string {
	let name = database;
	while (Buffer.byteLength(name + suffix) > LONGEST_NAME) name = [...name].slice(0, -1).join('');
	return name + suffix;
}

/** `20261121_020000`, in UTC. */
function dated(now: Date): string {
	return now.toISOString().slice(0, 19).replace(/[-:]/g, '').replace('T', '_');
}
