import type { Client } from 'pg';

import type { SequenceValue } from '../../../artifact/manifest';
import type { Production } from '../../../artifact/produce';
import { LifeboatError } from '../../../errors';
import { stoppable } from '../../../streams/stoppable';
import type { EngineContext } from '../../engine';
import { connectPostgres, dropConnection, type PostgresConnection } from '../connection';
import { postgresError } from '../errors';

import { DumpSession, type ContentPlace, type OutputKind } from './dump-session';
import { dumpError, LockWatch } from './failures';
import { incomplete } from './incomplete';
import { defaultLockTimeoutMs, pgDumpArguments, type PostgresDumpOptions } from './options';
import { LargeReadSocket } from './large-reads';
import { startPgDump } from './pg-dump-thread';
import { countRows, TableReader } from './table-reader';

/** What is dumped, and how its text is encoded. */
export interface DumpSettings {
	connection: PostgresConnection;
	options: PostgresDumpOptions;
	/** Such as `UTF8`. */
	encoding: string;
}

/** A dump that runs, inside its transaction. */
export interface RunningDump {
	readonly settings: DumpSettings;
	readonly client: Client;
	readonly session: DumpSession;
	readonly tables: TableReader;
	readonly signal: AbortSignal;
	/** The server's ParameterStatus. */
	readonly parameters: ReadonlyMap<string, string>;
	/** For the manifest. */
	sequences: SequenceValue[];
	/**
	 * Runs pg_dump and gives what it writes: all but the contents of tables and large objects.
	 *
	 * @param args beside those that follow from the options. @param onPlace told where in a script, behind what was given, contents belong.
	 * @throws LifeboatError unless pg_dump ended with success.
	 */
	output(args: string[], onPlace?: (place: ContentPlace) => void): AsyncGenerator<Buffer>;
}

/**
 * Starts a dump: connects, begins a transaction that shows one moment of the database, and lets a writer produce bytes in
 * it. Nothing runs before the stream is read, and nothing stays behind, here or on the server, when it ends or is destroyed.
 *
 * @throws LifeboatError as `connectPostgres`. The stream fails with `TABLE_LOCKED`, `NOT_PERMITTED`, `CONNECTION_LOST`,
 * `INCOMPLETE`, `PG_DUMP_FAILED`, `CANCELLED` or what else `postgresError` makes of the server's errors.
 */
export async function runDump(
	settings: DumpSettings,
	kind: OutputKind,
	write: (dump: RunningDump) => AsyncGenerator<Buffer>,
	{ signal, onProgress }: EngineContext,
): Promise<Production> {
	const { connection, options } = settings;
	const parameters = new Map<string, string>();
	const stop = new AbortController();
	const stopped = signal ? AbortSignal.any([signal, stop.signal]) : stop.signal;
	const createSocket = () => new LargeReadSocket();
	const client = await connectPostgres(connection, { signal: stopped, parameters, createSocket });
	const lockTimeoutMs = options.lockTimeoutMs ?? defaultLockTimeoutMs;
	const timeouts = { lockTimeoutMs, statementTimeoutMs: options.statementTimeoutMs ?? 0 };
	const session = new DumpSession(client, timeouts, kind);
	const tables = new TableReader(client, session.dumpedTables, onProgress);
	const locks = new LockWatch(client, connection, lockTimeoutMs);
	const dump: RunningDump = {
		...{ settings, client, session, tables, signal: stopped, parameters, sequences: [] },
		output: (args, onPlace) => pgDumpOutput({ dump, args, locks, onPlace }),
	};
	let complete = false;

	async function* bytes(): AsyncGenerator<Buffer> {
		const doing = `dumping database ${connection.database}`;
		try {
			// Before pg_dump's own settings, so that they hold even where a pooler gives a server's session for one transaction only.
			await client.query(
				`BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
				SELECT pg_catalog.set_config(name, '0', false) FROM pg_catalog.pg_settings
				WHERE name IN ('statement_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout')`,
			);
			await locks.prepare();
			yield* write(dump);
			tables.assertComplete();
			const { command } = await client.query('COMMIT');
			if (command !== 'COMMIT') throw incomplete('the server gave its transaction up before the end');
			await client.end();
			complete = true;
		} catch (error) {
			if (stopped.aborted) throw postgresError(stopped.reason, doing);
			throw error instanceof LifeboatError ? error : postgresError(error, doing);
		} finally {
			await locks.end();
			if (!complete) dropConnection(client);
		}
	}

	return {
		stream: stoppable(bytes(), stop),
		async finish() {
			if (!complete) throw incomplete('its end was not reached');
			return { tables: countRows(session.dumpedTables), sequences: dump.sequences };
		},
	};
}

interface PgDumpRun {
	dump: RunningDump;
	args: string[];
	locks: LockWatch;
	onPlace: ((place: ContentPlace) => void) | undefined;
}

async function* pgDumpOutput({ dump, args, locks, onPlace }: PgDumpRun): AsyncGenerator<Buffer> {
	const { session, settings, parameters, signal } = dump;
	const all = [...args, ...pgDumpArguments(settings.options, settings.encoding)];
	const thread = startPgDump(all, parameters, signal);
	try {
		let exit: { succeeded: boolean; log: string } | undefined;
		for await (const message of thread.messages) {
			if (message.type === 'exit') {
				exit = message;
				break;
			}
			const bytes = Buffer.from(message.bytes.buffer, message.bytes.byteOffset, message.bytes.byteLength);
			if (message.type === 'request') {
				const answer = await locks.watch(session.answer(bytes));
				if (answer.place) onPlace?.(answer.place);
				thread.answer(answer.bytes);
			} else {
				const text = session.written(bytes);
				if (text) yield text;
			}
		}
		if (exit?.succeeded !== true) {
			throw await dumpError(exit?.log, session.failedRequest, settings.connection, locks);
		}
		session.assertComplete();
	} finally {
		await thread.end();
	}
}
