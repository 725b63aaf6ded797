import type { Client } from 'pg';

import { codeOf, LifeboatError } from '../../../errors';
import { connectPostgres, dropConnection } from '../connection';

import type { DumpedTable } from './dump-session';
import { incomplete } from './incomplete';
import { LargeReadSocket } from './large-reads';
import type { RunningDump } from './run-dump';

/** What decides how the server writes rows and how long it waits: the same for all connections. */
const sharedSettings = [
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

/** What reads the rows of tables, all as of the same moment. */
export interface OpenRows {
	/** How many tables may be read at a time. */
	readonly atATime: number;
	/** The rows of a table, in COPY's text format. */
	of(table: DumpedTable): AsyncGenerator<Buffer>;
	/** Ends the connections that were opened for it, in the middle of what they do if need be. */
	end(): void;
}

/** Opens as many connections as the options say and there are tables for. @throws as `connectPostgres`. */
export async function openRows(dump: RunningDump): Promise<OpenRows> {
	const { settings, session, tables } = dump;
	const count = Math.min(settings.options.parallelConnections ?? 1, session.dumpedTables.length);
	if (count <= 1) return { atATime: 1, of: (table) => tables.rows(table), end: () => undefined };
	const { clients, enter } = await connectReaders(dump, count);
	const idle = [...clients];
	/** Tables that were asked for: what tells that they are read, or never will be. */
	const unfinished = new Set<() => void>();
	let last = Promise.resolve();

	async function* read(table: DumpedTable, earlier: Promise<void>): AsyncGenerator<Buffer> {
		const client = idle.pop();
		if (!client) throw incomplete('more tables were read at a time than there are connections');
		let hasBegun = false;
		try {
			for await (const bytes of tables.rows(table, client)) {
				hasBegun = true;
				yield bytes;
			}
		} catch (error) {
			if (hasBegun || !isQueued(error)) throw error;
			await enter(client);
			// The connection that holds the locks does one thing at a time: what has to be written before must not wait for it.
			await earlier;
			yield* tables.rows(table);
		}
		idle.push(client);
	}

	async function* readInTurn(table: DumpedTable, earlier: Promise<void>, finish: () => void) {
		try {
			yield* read(table, earlier);
		} finally {
			unfinished.delete(finish);
			finish();
		}
	}

	return {
		atATime: count,
		of(table) {
			let finish: () => void = () => undefined;
			const finished = new Promise<void>((resolve) => (finish = resolve));
			unfinished.add(finish);
			const earlier = last;
			last = earlier.then(async () => finished);
			return readInTurn(table, earlier, finish);
		},
		end() {
			for (const client of clients) dropConnection(client);
			for (const finish of unfinished) finish();
		},
	};
}

/** Whether a table could not be locked because somebody waits to change it. */
function isQueued(error: unknown): boolean {
	return error instanceof LifeboatError && codeOf(error.cause) === '55P03';
}

/** Connections that see what the dump's own sees in its transaction, with the settings that it has. */
async function connectReaders({ client: main, settings, signal }: RunningDump, count: number) {
	const names = sharedSettings.map((name) => `'${name}'`).join(', ');
	const { rows: values } = await main.query<{ name: string; setting: string }>(
		`SELECT name, pg_catalog.current_setting(name) AS setting FROM pg_catalog.pg_settings WHERE name IN (${names})`,
	);
	const { rows } = await main.query<{ snapshot: string }>(
		'SELECT pg_catalog.pg_export_snapshot() AS snapshot',
	);
	const snapshot = main.escapeLiteral(rows[0]!.snapshot);
	/** Begins the transaction of a connection, anew if it has one. */
	const enter = async (client: Client): Promise<void> => {
		await client.query(
			`ROLLBACK; BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT ${snapshot}`,
		);
		for (const { name, setting } of values) {
			await client.query('SELECT pg_catalog.set_config($1, $2, false)', [name, setting]);
		}
	};
	const clients: Client[] = [];
	try {
		for (let i = 0; i < count; i++) {
			const createSocket = () => new LargeReadSocket();
			const client = await connectPostgres(settings.connection, { signal, createSocket });
			clients.push(client);
			await enter(client);
		}
	} catch (error) {
		for (const client of clients) dropConnection(client);
		throw error;
	}
	return { clients, enter };
}
