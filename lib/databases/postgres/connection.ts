import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { ConnectionOptions } from 'node:tls';

import { Client, Connection, type ClientConfig } from 'pg';

import { codeOf, LifeboatError, messageOf } from '../../errors';

import { connectError, connecting } from './connect-error';
import { postgresError } from './errors';

export { postgresError } from './errors';

/** What reaches one database of a PostgreSQL server. */
export interface PostgresConnection {
	/** Name or address, or the folder of a Unix socket (it begins with `/`). */
	host: string;
	port: number;
	user: string;
	password: string;
	database: string;
	/** How TLS is spoken; `false` or nothing: it isn't, unless `sslMode` says otherwise. */
	ssl?: false | ConnectionOptions;
	/** `allow`: TLS where the server offers it, else not. `require`: TLS or nothing. Default: `require` where `ssl` is set. */
	sslMode?: 'disable' | 'allow' | 'require';
	/** Opens the way to the server, for one that no socket leads to; it has what `pg` asks of a socket. */
	stream?: () => Duplex;
}

export interface ConnectOptions {
	/** When it aborts, the query that runs is cancelled on the server and the socket is destroyed. */
	signal?: AbortSignal;
	/** As `pg_stat_activity` shows it. */
	applicationName?: string;
	/** How long a connection may take to be ready, in ms. */
	timeoutMs?: number;
	/** Is filled with what the server says of itself (ParameterStatus), such as `server_version`. */
	parameters?: Map<string, string>;
	/** Makes the socket, unless it is to be an ordinary one. Not asked where TLS is spoken. */
	createSocket?: () => Socket;
}

/** The parts of `pg` that its types leave out and the wire work needs. */
export interface Wire {
	/** The socket, of TLS where that is spoken. It changes while connecting. */
	readonly stream: Socket;
	on(event: string, listener: (message: never) => void): this;
	once(event: string, listener: (message: never) => void): this;
}

/** The protocol layer below a client. */
export function wireOf(client: Client): Wire {
	return (client as unknown as { connection: Wire }).connection;
}

/** Process id and secret of the server's process behind a client. */
export function backendOf(client: Client): { processID: number; secretKey: number } {
	return client as unknown as { processID: number; secretKey: number };
}

/**
 * A client that is logged in. All values come back as text, the way the server wrote them.
 *
 * A connection that breaks while nothing runs on it is not an event to listen to: the next query fails.
 *
 * @throws LifeboatError `LOGIN_FAILED`, `DATABASE_NOT_FOUND`, `TLS_FAILED`, `CONNECTION_FAILED`, `TOO_MANY_CONNECTIONS`,
 * `NOT_PERMITTED` (no CONNECT privilege), `CANCELLED`.
 */
export async function connectPostgres(
	connection: PostgresConnection,
	options: ConnectOptions = {},
): Promise<Client> {
	const mode = connection.sslMode ?? (connection.ssl ? 'require' : 'disable');
	if (mode === 'disable') return connectOnce(connection, false, options);
	if (mode === 'require') return connectOnce(connection, connection.ssl || {}, options);
	// As libpq's "prefer": who takes a plain connection as well gains nothing from checking the certificate.
	const ssl = { rejectUnauthorized: false, ...(connection.ssl || {}) };
	try {
		return await connectOnce(connection, ssl, options);
	} catch (error) {
		const plainMayDo =
			error instanceof LifeboatError &&
			(/does not support (?:SSL|TLS)/.test(messageOf(error.cause)) || codeOf(error.cause) === '28000');
		if (!plainMayDo) throw error;
		return connectOnce(connection, false, options);
	}
}

async function connectOnce(
	connection: PostgresConnection,
	ssl: false | ConnectionOptions,
	options: ConnectOptions,
): Promise<Client> {
	const { signal, applicationName = 'n8n-nodes-lifeboat', timeoutMs = 30_000, parameters } = options;
	if (signal?.aborted) throw postgresError(signal.reason, connecting(connection));
	const config: ClientConfig = {
		host: connection.host,
		port: connection.port,
		user: connection.user,
		// A function, so that an empty password is not looked for in the environment or ~/.pgpass.
		password: () => connection.password,
		database: connection.database,
		ssl,
		application_name: applicationName,
		keepAlive: true,
		keepAliveInitialDelayMillis: 30_000,
		connectionTimeoutMillis: timeoutMs,
		types: { getTypeParser: () => (value: string) => value },
		...(options.createSocket && !ssl ? { stream: options.createSocket } : {}),
		...(connection.stream && { stream: connection.stream }),
	};
	const client = new Client(config);
	// Without a listener a connection that breaks would end the whole process; the next query reports it.
	client.on('error', () => undefined);
	const drop = (reason?: unknown) => {
		if (backendOf(client).processID && !connection.stream) void cancelQuery(connection, ssl, client);
		wireOf(client).stream.destroy(reason instanceof Error ? reason : undefined);
	};
	drops.set(client, drop);
	const abort = () => drop(signal?.reason);
	signal?.addEventListener('abort', abort, { once: true });
	client.once('end', () => signal?.removeEventListener('abort', abort));
	wireOf(client).on('parameterStatus', (status: { parameterName: string; parameterValue: string }) => {
		parameters?.set(status.parameterName, status.parameterValue);
	});
	try {
		await client.connect();
		return client;
	} catch (error) {
		wireOf(client).stream.destroy();
		throw signal?.aborted
			? postgresError(signal.reason, connecting(connection))
			: connectError(error, connection);
	}
}

const drops = new WeakMap<Client, (reason?: unknown) => void>();

/** Ends a connection in the middle of whatever it does: what runs on the server is cancelled, the socket destroyed. */
export function dropConnection(client: Client): void {
	drops.get(client)?.();
}

/**
 * Asks the server to cancel what a client is running. It is a courtesy: it never fails, and ends after 10 s at most.
 *
 * @see https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-CANCELING-REQUESTS
 */
async function cancelQuery(
	{ host, port }: PostgresConnection,
	ssl: false | ConnectionOptions,
	client: Client,
): Promise<void> {
	const { processID, secretKey } = backendOf(client);
	const wire = new Connection({ ssl: ssl || undefined }) as unknown as Wire & {
		connect(port: number | string, host?: string): void;
		requestSsl(): void;
		cancel(processID: number, secretKey: number): void;
	};
	await new Promise<void>((resolve) => {
		wire.once('end', resolve);
		wire.once('error', () => resolve());
		wire.on('connect', () => (ssl ? wire.requestSsl() : wire.cancel(processID, secretKey)));
		wire.on('sslconnect', () => wire.cancel(processID, secretKey));
		if (host.startsWith('/')) wire.connect(`${host}/.s.PGSQL.${port}`);
		else wire.connect(port, host);
		wire.stream.setTimeout(10_000, resolve);
	});
	wire.stream.destroy();
}
