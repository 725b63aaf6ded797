import { codeOf, LifeboatError } from '../../../errors';
import { postgresError } from '../errors';

import { describeStatement, excerpt, summarize } from './sql/statement';
import { BatchError } from './script/wire';

/** The statement that an error is about. */
export interface FailedStatement {
	readonly sql: Buffer;
	/** In the script; the first is 1. Of no meaning for archives. */
	readonly line?: number | undefined;
	/** The line of the script that holds the first row, for COPY. */
	readonly firstRowLine?: number | undefined;
}

/** What a message about a failed restore has to know. */
export interface RestoreSetting {
	readonly database: string;
	/** Such as `15.18`. */
	readonly serverVersion: string;
	/** The server the dump was taken from, if the dump says so. */
	readonly dumpedFrom?: string | undefined;
}

interface ServerError extends Error {
	readonly code: string;
	readonly detail?: string;
	readonly hint?: string;
	readonly where?: string;
}

/** The server's own part of an error, or undefined if it came from elsewhere (the network, say). */
export function serverErrorOf(error: unknown): ServerError | undefined {
	const inner = error instanceof BatchError ? error.cause : error;
	const code = codeOf(inner);
	if (
		!(inner instanceof Error) ||
		code === undefined ||
		!/^[0-9A-Z]{5}$/.test(code) ||
		!('severity' in inner)
	)
		return undefined;
	return inner as unknown as ServerError;
}

/** Ends each message of a restore that failed before its commit. */
export const unchanged = 'Nothing was changed: the database is as it was before';

/** The error for a failure of the server or the connection outside any statement of the script. */
export function restoreError(error: unknown, doing: string): LifeboatError {
	const general = postgresError(error instanceof BatchError ? error.cause : error, doing);
	if (general === error || general.code === 'CANCELLED') return general;
	return new LifeboatError(general.code, `${general.message}. ${unchanged}`, {
		hint: general.hint,
		cause: error,
	});
}

/**
 * The error for a statement that failed: its line, what it does to which object, its first line, and what the server
 * says of it.
 */
export function statementError(
	error: unknown,
	statement: FailedStatement,
	setting: RestoreSetting,
): LifeboatError {
	const what = summarize(statement.sql);
	const { object } = describeStatement(statement.sql);
	const server = serverErrorOf(error);
	const row = /^COPY\s/i.test(statement.sql.toString('latin1', 0, 5))
		? rowOf(server?.where, statement.firstRowLine)
		: undefined;
	const where = statement.line === undefined ? what : `${what} on line ${statement.line} of the script`;
	const place = row ? `${row} of table ${object ?? ''}` : where;
	const general = restoreError(error, `Restoring database ${setting.database}: ${place}`);
	if (!server || ['CANCELLED', 'CONNECTION_LOST'].includes(general.code)) return general;
	const special = meaningOf(server, statement, setting);
	const details = [
		`${postgresError(server, `Restoring database ${setting.database}: ${place}`).message} (SQLSTATE ${server.code})`,
		server.detail?.replace(/\.$/, ''),
		row === undefined ? `Statement: ${excerpt(statement.sql)}` : undefined,
		unchanged,
	];
	const code = general.code === 'DATABASE_ERROR' ? 'STATEMENT_FAILED' : general.code;
	const isGeneric = general.code === 'DATABASE_ERROR';
	return new LifeboatError(
		special?.code ?? code,
		details.filter((detail) => detail !== undefined).join('. '),
		{
			hint: special?.hint ?? (isGeneric ? genericHint(server) : general.hint),
			cause: error,
		},
	);
}

/** `row 5 (line 812 of the script)` from the server's context `COPY orders, line 5, column qty: "abc"`. */
function rowOf(where: string | undefined, firstRowLine: number | undefined): string | undefined {
	const line = /^COPY .*?, \D*(\d+)/.exec(where ?? '')?.[1];
	if (line === undefined) return undefined;
	if (firstRowLine === undefined) return `row ${line}`;
	return `row ${line} (line ${firstRowLine + Number(line) - 1} of the script)`;
}

function meaningOf(
	server: ServerError,
	{ sql }: FailedStatement,
	setting: RestoreSetting,
): { code: string; hint: string } | undefined {
	switch (server.code) {
		case '42704': {
			const role = /^\S+ ["«„“](.+?)["»”“] /.exec(server.message)?.[1];
			if (role === undefined || !/^(role|Rolle|le rôle|el rol)\b/.test(server.message)) break;
			return {
				code: 'ROLE_MISSING',
				hint: `Create the role ${role} on this server, or restore without owners and privileges`,
			};
		}
		case '53200':
			if (!/max_(locks|pred_locks)/.test(`${server.hint} ${server.message}`)) break;
			return {
				code: 'TOO_MANY_LOCKS',
				hint: 'The restore is one transaction and holds a lock on each object: raise max_locks_per_transaction on the server (it takes a restart), then restore again',
			};
		case '55P03':
			return {
				code: 'TABLE_LOCKED',
				hint: 'Another session uses what has to be replaced. Stop the applications that use the database, then restore again',
			};
		case '42501':
			return {
				code: 'NOT_PERMITTED',
				hint: 'Restore as a user that may do this: the owner of the database, or a superuser for extensions, event triggers and objects of other owners',
			};
		case '25001':
			return {
				code: 'STATEMENT_REFUSED',
				hint: 'This statement cannot run inside the one transaction of a restore: take it out of the script and run it by hand',
			};
		case '0A000':
		case '58P01': {
			const { kind, object } = describeStatement(sql);
			if (kind !== 'CREATE EXTENSION') break;
			return {
				code: 'EXTENSION_MISSING',
				hint: `Install the extension ${object ?? ''} on the machine of the PostgreSQL server (often a package of its own), then restore again`,
			};
		}
	}
	if (!isNewer(setting.dumpedFrom, setting.serverVersion) || !/^(42|0A|22)/.test(server.code))
		return undefined;
	return {
		code: 'STATEMENT_FAILED',
		hint: `The dump was taken from PostgreSQL ${setting.dumpedFrom?.split(' ')[0]}, this server is the older ${setting.serverVersion}: restore into a server of that version or newer`,
	};
}

function genericHint(server: ServerError): string {
	return (
		server.hint ?? 'Correct what the server complains of, in the target or in the script, then restore again'
	);
}

function isNewer(dumpedFrom: string | undefined, serverVersion: string): boolean {
	return Number.parseInt(dumpedFrom ?? '', 10) > Number.parseInt(serverVersion, 10);
}
