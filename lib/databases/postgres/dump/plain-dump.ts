import { Readable } from 'node:stream';

import type { Client } from 'pg';

import type { Production } from '../../../artifact/produce';
import { LifeboatError } from '../../../errors';
import type { EngineContext } from '../../engine';
import { connectPostgres, dropConnection, type PostgresConnection } from '../connection';
import { postgresError } from '../errors';

import { DumpSession, incomplete } from './dump-session';
import { dumpError, LockWatch } from './failures';
import { defaultLockTimeoutMs, pgDumpArguments, type PostgresDumpOptions } from './options';
import { startPgDump } from './pg-dump-thread';

/**
 * Starts a dump as plain SQL. Nothing of it is kept in memory but what is on its way.
 *
 * @param encoding of the dump's text, such as `UTF8`.
 * @throws LifeboatError as `connectPostgres`. The stream fails with `TABLE_LOCKED`, `NOT_PERMITTED`, `CONNECTION_LOST`,
 * `INCOMPLETE`, `PG_DUMP_FAILED` or what else `postgresError` makes of the server's errors.
 */
export async function startPlainDump(
	connection: PostgresConnection,
	options: PostgresDumpOptions,
	encoding: string,
	{ signal, onProgress }: EngineContext,
): Promise<Production> {
	const parameters = new Map<string, string>();
	const stop = new AbortController();
	const stopped = signal ? AbortSignal.any([signal, stop.signal]) : stop.signal;
	const client = await connectPostgres(connection, { signal: stopped, parameters });
	const lockTimeoutMs = options.lockTimeoutMs ?? defaultLockTimeoutMs;
	const statementTimeoutMs = options.statementTimeoutMs ?? 0;
	const session = new DumpSession(client, { lockTimeoutMs, statementTimeoutMs }, onProgress);
	const ending: Ending = { trailer: Buffer.alloc(0), complete: false };
	const settings = { connection, options, encoding, parameters, signal: stopped, lockTimeoutMs };
	const stream = Readable.from(run(client, session, ending, settings), {
		objectMode: false,
		highWaterMark: 1024 * 1024,
	});
	// A generator can't be left while it waits for the server: whoever destroys the stream ends that wait, too.
	const destroy = stream._destroy.bind(stream);
	stream._destroy = (error, callback) => {
		stop.abort();
		destroy(error, callback);
	};
	return {
		stream,
		async finish() {
			if (!ending.complete) throw incomplete('its end was not reached');
			session.assertComplete();
			return { tables: session.tables };
		},
	};
}

interface Ending {
	/** The last bytes that pg_dump wrote. */
	trailer: Buffer;
	complete: boolean;
}

interface Run {
	connection: PostgresConnection;
	options: PostgresDumpOptions;
	encoding: string;
	parameters: ReadonlyMap<string, string>;
	signal: AbortSignal;
	lockTimeoutMs: number;
}

async function* run(
	client: Client,
	session: DumpSession,
	ending: Ending,
	settings: Run,
): AsyncGenerator<Buffer> {
	const { connection, options, encoding, parameters, signal, lockTimeoutMs } = settings;
	const doing = `dumping database ${connection.database}`;
	const locks = new LockWatch(client, connection, lockTimeoutMs);
	let thread: ReturnType<typeof startPgDump> | undefined;
	try {
		// Before pg_dump's own settings, so that they hold even where a pooler gives a server's session for one transaction only.
		await client.query(
			`BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
			SELECT pg_catalog.set_config(name, '0', false) FROM pg_catalog.pg_settings
			WHERE name IN ('statement_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout')`,
		);
		await locks.prepare();
		thread = startPgDump(pgDumpArguments(options, encoding), parameters, signal);
		let atStart = true;
		let exit: { succeeded: boolean; log: string } | undefined;
		for await (const message of thread.messages) {
			if (message.type === 'exit') {
				exit = message;
				break;
			}
			const bytes = Buffer.from(message.bytes.buffer, message.bytes.byteOffset, message.bytes.byteLength);
			if (message.type === 'request') {
				thread.answer(yield* locks.watch(session.answer(bytes)));
				continue;
			}
			ending.trailer = Buffer.concat([ending.trailer, bytes]).subarray(-trailerLength);
			const text = session.written(bytes);
			if (text) yield atStart ? withPortableSettings(text) : text;
			atStart = false;
		}
		if (exit?.succeeded !== true) throw await dumpError(exit?.log, session.failedRequest, connection, locks);
		if (!trailer.test(ending.trailer.toString('latin1'))) throw incomplete('its last line is missing');
		session.assertComplete();
		await client.query('COMMIT');
		await client.end();
		ending.complete = true;
	} catch (error) {
		if (signal.aborted) throw postgresError(signal.reason, doing);
		throw error instanceof LifeboatError ? error : postgresError(error, doing);
	} finally {
		await thread?.end();
		await locks.end();
		if (!ending.complete) dropConnection(client);
	}
}

const trailerLength = 512;
const trailer = /\n-- PostgreSQL database dump complete\n--\n\n(?:\\unrestrict \w+\n\n)?$/;

/**
 * The settings at the start of a dump name a parameter that servers before 17 don't know: there, `psql` with ON_ERROR_STOP
 * would stop at it. In this form it has the same effect where it is known, and none elsewhere.
 */
function withPortableSettings(start: Buffer): Buffer {
	const line = '\nSET transaction_timeout = 0;\n';
	const at = start.indexOf(line);
	if (at < 0) throw incomplete('it does not begin as expected');
	return Buffer.concat([
		start.subarray(0, at),
		Buffer.from(
			"\nSELECT pg_catalog.set_config(name, '0', false) FROM pg_catalog.pg_settings WHERE name = 'transaction_timeout';\n",
		),
		start.subarray(at + line.length),
	]);
}
