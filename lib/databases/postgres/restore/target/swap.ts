import { setTimeout as sleep } from 'node:timers/promises';

import type { Client } from 'pg';

import { LifeboatError } from '../../../../errors';
import { postgresError, type PostgresConnection } from '../../connection';
import { quoteIdentifier, quoteLiteral } from '../../identifiers';

import { databaseExists } from './create-like';
import { connectMaintenance, reconnectMaintenance, type TargetOptions } from './maintenance';

/** What the databases are called before and behind a swap. */
interface Swap {
	/** The restored one, until it takes the place of the other. */
	scratch: string;
	/** The other one, from then on. */
	old: string;
}

/**
 * Both renames happen in one transaction, while new sessions wait at the door and those inside are ended.
 *
 * @param comment the statement that gives the restored database its comment.
 * @throws LifeboatError `COMMIT_UNKNOWN` where the server is lost in that moment and stays away.
 */
export async function swap(
	admin: Client,
	connection: PostgresConnection,
	options: TargetOptions,
	{ scratch, old, comment }: Swap & { comment: string },
): Promise<void> {
	const { database } = connection;
	const bouncer = await endSessions(connection, options, [database, scratch]);
	try {
		await admin.query('BEGIN');
		// The lock is waited for no longer than the server itself waits for sessions to go.
		await admin.query(`SET LOCAL lock_timeout = '10s'`);
		await admin.query(comment);
		await admin.query(`ALTER DATABASE ${quoteIdentifier(database)} RENAME TO ${quoteIdentifier(old)}`);
		await admin.query(`ALTER DATABASE ${quoteIdentifier(scratch)} RENAME TO ${quoteIdentifier(database)}`);
	} catch (error) {
		await admin.query('ROLLBACK').catch(() => undefined);
		// Sessions that could not be ended are why the renames failed.
		throw (await bouncer.stop()) ?? error;
	}
	try {
		await admin.query('COMMIT');
	} catch (error) {
		// A connection that was lost does not tell what the server has done.
		if (!(await hasSwapped(connection, options, { scratch, old }, error))) throw error;
	} finally {
		await bouncer.stop();
	}
}

/** Ends all sessions in some databases again and again, until it is stopped. */
async function endSessions(
	connection: PostgresConnection,
	options: TargetOptions,
	databases: readonly string[],
): Promise<{ stop: () => Promise<Error | undefined> }> {
	const client = await connectMaintenance(connection, options);
	const names = databases.map(quoteLiteral).join(', ');
	let isStopped = false;
	const ended = (async () => {
		try {
			while (!isStopped) {
				await client.query(
					`SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity WHERE datname IN (${names})`,
				);
				await sleep(100);
			}
			return undefined;
		} catch (error) {
			return postgresError(error, `ending the sessions of database ${connection.database}`);
		} finally {
			await client.end();
		}
	})();
	return {
		stop: async () => {
			isStopped = true;
			return await ended;
		},
	};
}

async function hasSwapped(
	connection: PostgresConnection,
	options: TargetOptions,
	{ scratch, old }: Swap,
	cause: unknown,
): Promise<boolean> {
	const { database } = connection;
	try {
		const client = await reconnectMaintenance(connection, options);
		try {
			return (await databaseExists(client, old)) && !(await databaseExists(client, scratch));
		} finally {
			await client.end();
		}
	} catch {
		throw new LifeboatError(
			'COMMIT_UNKNOWN',
			`The connection to the server was lost in the moment in which the restored database took the place of ${database}`,
			{
				hint: `Look at the databases of the server: if there is one called ${old}, that is the old content, and nothing has to be done. Otherwise ${database} is as it was: run the node again`,
				cause,
			},
		);
	}
}
