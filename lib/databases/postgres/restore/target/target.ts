import { randomBytes } from 'node:crypto';

import type { Client } from 'pg';

import { LifeboatError } from '../../../../errors';
import type { EngineContext } from '../../../engine';
import { postgresError, type PostgresConnection } from '../../connection';
import { readDatabaseProperties } from '../../database-properties';
import { quoteIdentifier } from '../../identifiers';

import { createDatabase } from './create';
import { createLikeStatement, databaseExists } from './create-like';
import { reconnectMaintenance, withMaintenance, type TargetOptions } from './maintenance';
import { dated, freeName, nameWith } from './names';
import { swap } from './swap';
import { commentOf, commentStatement, removeUnfinished, unfinished } from './unfinished';

export type { TargetOptions } from './maintenance';

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

/** What `fill` may be asked to do: restore into the database of a connection, which is empty. `isNew`: it replaces none. */
type Fill<Result> = (connection: PostgresConnection, isNew: boolean) => Promise<Result>;

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
		const { result, warnings: others } = await createAndFill(admin, connection, options, fill);
		return { result, warnings: [...warnings, ...others] };
	});
}

async function createAndFill<Result>(
	admin: Client,
	connection: PostgresConnection,
	options: TargetOptions,
	fill: Fill<Result>,
): Promise<{ result: Result; warnings: string[] }> {
	const { database } = connection;
	const warnings = await createDatabase(admin, database, options.locale);
	return await dropUnlessFilled(connection, options, async () => {
		await admin.query(commentStatement(database, unfinished(database)));
		const result = await fill(connection, true);
		// The script may have put a comment of its own there.
		if ((await commentOf(admin, database)) === unfinished(database))
			await admin.query(commentStatement(database, null));
		return { result, warnings };
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
			const { result, warnings: others } = await createAndFill(admin, connection, options, fill);
			return { result, warnings: [...warnings, ...others] };
		}
		const scratch = nameWith(database, `_restore_${randomBytes(4).toString('hex')}`);
		const beside = { ...connection, database: scratch };
		const old = await freeName(admin, database, `_before_${dated(target.now ?? new Date())}`);
		await admin.query(await createLikeStatement(admin, scratch, database));
		const result = await dropUnlessFilled(beside, options, async () => {
			await admin.query(commentStatement(scratch, unfinished(database)));
			const filled = await fill(beside, false);
			context.signal?.throwIfAborted();
			context.onProgress?.({ step: `putting the restored database in the place of ${database}` });
			const comment = await commentToBe(admin, { database, scratch }, options);
			if (options.databaseProperties !== 'backup') await copyProperties(admin, database, scratch);
			await swap(admin, connection, options, { scratch, old, comment: commentStatement(scratch, comment) });
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
	}).catch((error: unknown) => {
		throw withNeedOfRoom(error);
	});
}

/** The comment of the restored database: that of the backup's, or the one that its name has now. */
async function commentToBe(
	admin: Client,
	{ database, scratch }: { database: string; scratch: string },
	{ databaseProperties }: TargetOptions,
): Promise<string | null> {
	if (databaseProperties !== 'backup') return await commentOf(admin, database);
	const restored = await commentOf(admin, scratch);
	return restored === unfinished(database) ? null : restored;
}

async function copyProperties(admin: Client, from: string, to: string): Promise<void> {
	const { settings, privileges } = await readDatabaseProperties(admin, from, to);
	for (const sql of [...settings, ...privileges]) await admin.query(sql);
}

/** For a swap, which takes more room than the database has now. */
function withNeedOfRoom(error: unknown): unknown {
	if (!(error instanceof LifeboatError) || error.code !== 'SERVER_DISK_FULL') return error;
	return new LifeboatError(error.code, error.message, {
		hint: 'The disk of the PostgreSQL server is full: until the swap, the old content and the restored one need room side by side. Free space there, then run the node again',
		cause: error,
	});
}

const SWAP_LOCK = 1_818_846_562;

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

async function dropUnlessFilled<Result>(
	connection: PostgresConnection,
	options: TargetOptions,
	fill: () => Promise<Result>,
): Promise<Result> {
	try {
		return await fill();
	} catch (error) {
		if (await dropLeftover(connection, options)) throw error;
		const known = postgresError(error, `restoring database ${connection.database}`);
		throw new LifeboatError(known.code, known.message, {
			hint: `${known.hint ?? ''}. The unfinished database ${connection.database} could not be removed: the next restore does it, or drop it by hand`,
			cause: error,
		});
	}
}

/** In a session of its own: the one at hand may be what was lost or cancelled. @returns whether it is gone. */
async function dropLeftover(connection: PostgresConnection, options: TargetOptions): Promise<boolean> {
	try {
		const admin = await reconnectMaintenance(connection, options);
		try {
			// A template can't be dropped, and the backup's may be one.
			if (await databaseExists(admin, connection.database))
				await admin.query(`ALTER DATABASE ${quoteIdentifier(connection.database)} IS_TEMPLATE false`);
			await admin.query(`DROP DATABASE IF EXISTS ${quoteIdentifier(connection.database)} WITH (FORCE)`);
			return true;
		} finally {
			await admin.end();
		}
	} catch {
		// What the restore itself failed of is the error to tell.
		return false;
	}
}
