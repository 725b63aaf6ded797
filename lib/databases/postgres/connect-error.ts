import { codeOf, LifeboatError, messageOf } from '../../errors';

import type { PostgresConnection } from './connection';
import { postgresError, withoutSystemCodes } from './errors';

/** What failed, for messages: `connecting to database shop at db:5432`. */
export function connecting({ host, port, database }: PostgresConnection): string {
	return `connecting to database ${database} at ${host}${host.startsWith('/') ? '' : `:${port}`}`;
}

/** What the system's codes mean here. */
const unreachable: Record<string, string> = {
	ECONNREFUSED: 'nothing accepts connections there',
	ENOTFOUND: 'the host name is not known',
	EAI_AGAIN: 'the host name could not be looked up',
	ETIMEDOUT: 'there was no answer in time',
	EHOSTUNREACH: 'there is no route to the host',
	ENETUNREACH: 'there is no route to the network',
	ECONNRESET: 'the connection was closed by the other side',
	ENOENT: 'there is no such socket',
	EACCES: 'the socket may not be opened',
};

/** Why a connection could not be made: `LOGIN_FAILED`, `DATABASE_NOT_FOUND`, `TLS_FAILED`, `CONNECTION_FAILED`, or as `postgresError`. */
export function connectError(error: unknown, connection: PostgresConnection): LifeboatError {
	const where = connecting(connection);
	const what = where.charAt(0).toUpperCase() + where.slice(1);
	const code = codeOf(error) ?? (error instanceof AggregateError ? codeOf(error.errors[0]) : undefined) ?? '';
	if (code.startsWith('28')) {
		return new LifeboatError(
			'LOGIN_FAILED',
			`${what} failed: the server refused the login of ${connection.user}`,
			{
				hint: `Check user and password in the credential, and pg_hba.conf of the server (${messageOf(error)})`,
				cause: error,
			},
		);
	}
	if (code === '3D000') {
		return new LifeboatError('DATABASE_NOT_FOUND', `${what} failed: there is no such database`, {
			hint: 'Check the name of the database; names are case-sensitive',
			cause: error,
		});
	}
	if (/^(42501|53300)$/.test(code)) return postgresError(error, where);
	const text = messageOf(error);
	if (/SCRAM|password/i.test(text) && !code) {
		return new LifeboatError('LOGIN_FAILED', `${what} failed: ${text}`, {
			hint: 'Check user and password in the credential',
			cause: error,
		});
	}
	if (
		/\b(SSL|TLS)\b/.test(text) ||
		/CERT|^ERR_(SSL|TLS)|SELF_SIGNED|UNABLE_TO_|HOSTNAME_MISMATCH/.test(code)
	) {
		return new LifeboatError('TLS_FAILED', `${what} failed: ${withoutSystemCodes(text)}`, {
			hint: 'Check the SSL setting of the credential: the server may not offer TLS, or its certificate may be signed by an authority of your own or be for another host name',
			cause: error,
		});
	}
	const reason =
		unreachable[code] ?? (text === 'timeout expired' ? unreachable.ETIMEDOUT : withoutSystemCodes(text));
	return new LifeboatError('CONNECTION_FAILED', `${what} failed: ${reason}`, {
		hint: 'Check host and port, that the server runs and that nothing between (firewall, container network, tunnel) blocks it',
		cause: error,
	});
}
