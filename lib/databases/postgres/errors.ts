import { codeOf, LifeboatError, messageOf } from '../../errors';

const lostConnection = new Set([
	'ECONNRESET',
	'EPIPE',
	'ETIMEDOUT',
	'EHOSTUNREACH',
	'ENETUNREACH',
	'ENETDOWN',
]);

interface Meaning {
	code: string;
	/** What happened, as the end of a sentence that begins with what was being done. */
	text?: string;
	hint: string;
}

const connectionLost: Meaning = {
	code: 'CONNECTION_LOST',
	text: 'the connection to the PostgreSQL server was lost',
	hint: 'Look into the log of the server (a restart, a crash, a full disk, an administrator’s command) and check the network or tunnel between, then run the node again',
};

/** Error codes of PostgreSQL that an operator can do something about, longest prefix first. */
const meanings: [prefix: string, meaning: Meaning][] = [
	[
		'42501',
		{
			code: 'NOT_PERMITTED',
			hint: 'Grant the user what it lacks, or connect as the owner or a superuser. To read everything, GRANT pg_read_all_data TO the user (PostgreSQL 14 and later)',
		},
	],
	[
		'55P03',
		{
			code: 'TABLE_LOCKED',
			hint: 'Another session holds a lock on it: end that transaction, run at a quieter time, or allow a longer lock time-out',
		},
	],
	[
		'40P01',
		{
			code: 'TABLE_LOCKED',
			hint: 'Two sessions waited for each other’s locks and the server ended this one. Run the node again',
		},
	],
	[
		'40001',
		{
			code: 'QUERY_CANCELLED',
			hint: 'The server gave the transaction up for what others changed. A standby does so where replication may not wait: raise its max_standby_streaming_delay or switch hot_standby_feedback on there, or dump the primary. Then run the node again',
		},
	],
	[
		'57014',
		{
			code: 'QUERY_CANCELLED',
			hint: 'The server cancelled the query: a statement time-out is too short, or an administrator cancelled it. Allow more time, then run the node again',
		},
	],
	[
		'53100',
		{
			code: 'SERVER_DISK_FULL',
			hint: 'The disk of the PostgreSQL server is full. Free space there, then run the node again',
		},
	],
	['53200', { code: 'SERVER_OUT_OF_MEMORY', hint: 'The PostgreSQL server is out of memory. See its log' }],
	[
		'53300',
		{
			code: 'TOO_MANY_CONNECTIONS',
			hint: 'The server takes no more connections: end idle ones or raise max_connections',
		},
	],
	['3D000', { code: 'DATABASE_NOT_FOUND', hint: 'Check the name of the database; names are case-sensitive' }],
	[
		'25006',
		{
			code: 'READ_ONLY',
			hint: 'The server or the session takes no changes: it may be a standby, or default_transaction_read_only is on',
		},
	],
	[
		'XX001',
		{
			code: 'DATA_CORRUPTED',
			hint: 'The server found damaged data. Stop writing to it and see its log before anything else',
		},
	],
	[
		'XX002',
		{ code: 'DATA_CORRUPTED', hint: 'The server found a damaged index: REINDEX may repair it. See its log' },
	],
	['57P', connectionLost],
	['25P03', connectionLost],
	['25P04', connectionLost],
	['08', connectionLost],
	['28', { code: 'LOGIN_FAILED', hint: 'Check user, password and pg_hba.conf of the server' }],
];

/**
 * Turns what `pg`, a socket or a server throws into an error an operator understands. LifeboatErrors pass through.
 *
 * @param doing what was being done and to what, such as `reading table public.orders`. The message begins with it.
 * @see https://www.postgresql.org/docs/current/errcodes-appendix.html
 */
export function postgresError(error: unknown, doing: string): LifeboatError {
	if (error instanceof LifeboatError) return error;
	const code = codeOf(error) ?? '';
	if (code === 'ABORT_ERR' || (error instanceof Error && error.name === 'AbortError')) {
		return new LifeboatError('CANCELLED', `${capitalise(doing)} was cancelled`, { cause: error });
	}
	const text = messageOf(error);
	// EPIPE looks like one.
	const isSqlState = /^[0-9A-Z]{5}$/.test(code) && !lostConnection.has(code);
	const meaning = isSqlState
		? meanings.find(([prefix]) => code.startsWith(prefix))?.[1]
		: lostConnection.has(code) || /^Connection terminated|connection error and is not queryable/.test(text)
			? connectionLost
			: undefined;
	return new LifeboatError(
		meaning?.code ?? 'DATABASE_ERROR',
		`${capitalise(doing)} failed: ${meaning?.text ?? withoutSystemCodes(text)}`,
		{
			hint: meaning?.hint ?? 'See the message of the server above, and its log, for the cause',
			cause: error,
		},
	);
}

/** Without words such as `ECONNREFUSED`, which say nothing to an operator and make n8n put its own text in place of ours. */
export function withoutSystemCodes(text: string): string {
	return (
		text.replaceAll(/\b(?:connect |read |write )?E[A-Z]{4,}\b:? ?/g, '').trim() ||
		'the system reported an error'
	);
}

function capitalise(text: string): string {
	return text.charAt(0).toUpperCase() + text.slice(1);
}
