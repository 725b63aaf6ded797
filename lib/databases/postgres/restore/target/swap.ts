import { setTimeout as sleep } from 'node:timers/promises';

import type { Client } from 'pg';

import type { PostgresConnection } from '../../connection';
import { quoteIdentifier, quoteLiteral } from '../../identifiers';

import { connectMaintenance, type TargetOptions } from './maintenance';

/** Both renames happen in one transaction, while new sessions wait at the door and those inside are ended. */
export async function swap(
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
