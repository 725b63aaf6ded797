import type { Client } from 'pg';

import { codeOf, LifeboatError } from '../../errors';

import { backendOf, connectPostgres, type PostgresConnection } from './connection';

/** More than one, for a pooler may hand out its connections in turn. */
const attempts = 3;

/**
 * Makes sure that a client has a session of its own. Behind a pooler in transaction mode (PgBouncer and its kin) it has not: the settings
 * that a dump makes would stay behind for other clients, an empty `search_path` among them.
 *
 * A server tells its process at login. Behind a pooler another one answers; then two clients at a time show whether they share it.
 *
 * @param client idle, outside a transaction. @throws LifeboatError `POOLED`.
 */
export async function assertSession(
	client: Client,
	connection: PostgresConnection,
	signal?: AbortSignal,
): Promise<void> {
	const first = await processOf(client);
	if (first === String(backendOf(client).processID)) return;
	const second = await connectPostgres(connection, { signal });
	try {
		for (let attempt = 0; attempt < attempts; attempt++) {
			await second.query('BEGIN').catch((error: unknown) => {
				// In statement mode there are no transactions.
				throw codeOf(error) === '08P01' ? pooled(connection) : error;
			});
			// The second holds its process now. It may be the first one's; or the first one has to take another.
			const isShared = (await processOf(second)) === first || (await processOf(client)) !== first;
			await second.query('ROLLBACK');
			if (isShared) throw pooled(connection);
		}
	} finally {
		await second.end();
	}
}

async function processOf(client: Client): Promise<string | undefined> {
	const { rows } = await client.query<{ pid: string }>('SELECT pg_catalog.pg_backend_pid() AS pid');
	return rows[0]?.pid;
}

function pooled({ host, port, database }: PostgresConnection): LifeboatError {
	return new LifeboatError(
		'POOLED',
		`Database ${database} at ${host}:${port} is behind a connection pooler that gives no session of one's own (PgBouncer in transaction mode, for example)`,
		{ hint: 'Connect to PostgreSQL itself, or to a pool in session mode: both have another port as a rule' },
	);
}
