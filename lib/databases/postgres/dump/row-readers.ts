import type { Client } from 'pg';

import { connectPostgres, dropConnection, type PostgresConnection } from '../connection';

import { LargeReadSocket } from './large-reads';

/** What decides how the server writes rows and how long it waits: the same for all connections. */
const settings = [
	...[
		'DateStyle',
		'IntervalStyle',
		'extra_float_digits',
		'synchronize_seqscans',
		'row_security',
		'search_path',
	],
	...['client_encoding', 'lock_timeout', 'statement_timeout', 'idle_in_transaction_session_timeout'],
	...['transaction_timeout', 'bytea_output', 'xmloption', 'TimeZone'],
];

/** Connections that read tables as of the same moment as the one that they were opened for. */
export interface RowReaders {
	/** One that is idle; there must be one. */
	take(): Client;
	release(client: Client): void;
	/** Ends all of them, in the middle of what they do if need be. */
	end(): Promise<void>;
}

/** Opens connections that see what `main` sees in its transaction, with the settings that it has. @throws as `connectPostgres`. */
export async function openRowReaders(
	main: Client,
	connection: PostgresConnection,
	count: number,
	signal: AbortSignal,
): Promise<RowReaders> {
	const names = settings.map((name) => `'${name}'`).join(', ');
	const { rows: values } = await main.query<{ name: string; setting: string }>(
		`SELECT name, pg_catalog.current_setting(name) AS setting FROM pg_catalog.pg_settings WHERE name IN (${names})`,
	);
	const { rows } = await main.query<{ snapshot: string }>(
		'SELECT pg_catalog.pg_export_snapshot() AS snapshot',
	);
	const snapshot = main.escapeLiteral(rows[0]!.snapshot);
	const all: Client[] = [];
	const end = async () => {
		for (const client of all) dropConnection(client);
	};
	try {
		for (let i = 0; i < count; i++) {
			const client = await connectPostgres(connection, {
				signal,
				createSocket: () => new LargeReadSocket(),
			});
			all.push(client);
			await client.query(
				`BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT ${snapshot}`,
			);
			for (const { name, setting } of values) {
				await client.query('SELECT pg_catalog.set_config($1, $2, false)', [name, setting]);
			}
		}
	} catch (error) {
		await end();
		throw error;
	}
	const idle = [...all];
	return { take: () => idle.pop()!, release: (client) => void idle.push(client), end };
}
