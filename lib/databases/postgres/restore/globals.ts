import type { Readable } from 'node:stream';

import type { Client } from 'pg';

import { LifeboatError } from '../../../errors';
import type { EngineContext } from '../../engine';
import { connectPostgres, postgresError, type PostgresConnection } from '../connection';

import { restoreError, serverErrorOf, statementError } from './errors';
import { SqlLexer, type SqlStatement } from './sql/lexer';
import { excerpt, tokensOf, type SqlToken } from './sql/statement';
import { assertWhole } from './transaction';
import { runRaw } from './script/wire';

/** What the restore of a server's globals did. */
export interface GlobalsReport {
	/** Roles that were created. */
	roles: string[];
	/** Roles that were there already: they stay as they are, with their password and memberships. */
	keptRoles: string[];
	tablespaces: string[];
	keptTablespaces: string[];
}

/** What a statement is about. */
interface Subject {
	kind: 'role' | 'tablespace';
	name: string;
}

/**
 * Restores roles and tablespaces: the output of `pg_dumpall --globals-only`, or the same by Dump Database. Whatever is there
 * already stays as it is. Roles come in one transaction; tablespaces, and what follows them, after it, for they can't.
 *
 * @throws LifeboatError `STATEMENT_REFUSED` for anything but globals, `TABLESPACE_FAILED`, and what the server says.
 */
export async function restoreGlobals(
	connection: PostgresConnection,
	open: (signal?: AbortSignal) => Promise<Readable>,
	context: EngineContext = {},
): Promise<GlobalsReport> {
	const { signal } = context;
	const statements = await readStatements(await open(signal));
	const client = await connectPostgres(connection, {
		...(signal && { signal }),
		applicationName: 'lifeboat restore',
	});
	try {
		const present = { role: await names(client, 'role'), tablespace: await names(client, 'tablespace') };
		const report: GlobalsReport = { roles: [], keptRoles: [], tablespaces: [], keptTablespaces: [] };
		await client.query('BEGIN');
		let inTransaction = true;
		for (const statement of statements) {
			const subject = subjectOf(statement);
			// From here on nothing can be undone: CREATE TABLESPACE does not go into a transaction.
			if (subject?.kind === 'tablespace' && inTransaction) {
				inTransaction = false;
				await commit(client);
			}
			if (subject && present[subject.kind].has(subject.name)) {
				const kept = subject.kind === 'role' ? report.keptRoles : report.keptTablespaces;
				if (!kept.includes(subject.name)) kept.push(subject.name);
				continue;
			}
			await run(client, statement, connection.database).catch((error: unknown) => {
				throw inTransaction ? error : afterRolesError(error, statement, report);
			});
			if (!subject || !creates(statement)) continue;
			(subject.kind === 'role' ? report.roles : report.tablespaces).push(subject.name);
		}
		if (inTransaction) await commit(client);
		return report;
	} catch (error) {
		await client.query('ROLLBACK').catch(() => undefined);
		throw postgresError(signal?.aborted ? signal.reason : error, 'restoring roles and tablespaces');
	} finally {
		await client.end();
	}
}

async function readStatements(source: Readable): Promise<SqlStatement[]> {
	source.on('error', () => undefined);
	try {
		const lexer = new SqlLexer(source, { maxStatementSize: 2 ** 20 });
		const statements: SqlStatement[] = [];
		for (let item = await lexer.next(); item; item = await lexer.next()) {
			if (item.kind === 'meta-command') {
				if (/^\\(?:un)?restrict\s/.test(item.text)) continue;
				throw refused(item.line, item.text.slice(0, 30));
			}
			if (!isGlobal(item)) throw refused(item.line, excerpt(item.sql));
			statements.push(item);
		}
		assertWhole(lexer);
		return statements;
	} finally {
		source.destroy();
	}
}

function refused(line: number, what: string): LifeboatError {
	return new LifeboatError(
		'STATEMENT_REFUSED',
		`Line ${line} of the script is about something else than roles and tablespaces: ${what}. Nothing was changed`,
		{ hint: 'Take the dump with Dump Database, operation Dump Globals, or with pg_dumpall --globals-only' },
	);
}

const createRole =
	/^DO LANGUAGE plpgsql E?'BEGIN IF NOT EXISTS \(SELECT FROM pg_catalog\.pg_roles WHERE rolname = (?:''|E'').*THEN CREATE ROLE (.*); END IF; END'$/s;

function isGlobal({ head, sql }: SqlStatement): boolean {
	const words = head.join(' ');
	if (/^(?:SET|RESET) /.test(words)) return true;
	if (head[0] === 'DO') return createRole.test(sql.toString('utf8').trim());
	if (/^(?:CREATE|ALTER) (?:ROLE|USER|GROUP|TABLESPACE)\b/.test(words))
		return !/^(?:CREATE|ALTER) USER MAPPING/.test(words);
	if (/^(?:COMMENT ON|SECURITY LABEL)/.test(words))
		return /^(?:role|tablespace)$/.test(subjectOf({ head, sql })?.kind ?? '');
	if (head[0] === 'GRANT' || head[0] === 'REVOKE') {
		const on = tokensOf(sql, 200).findIndex(({ kind, text }) => kind === 'word' && text === 'ON');
		return on === -1 || /^(?:TABLESPACE|PARAMETER)$/.test(tokensOf(sql, 200)[on + 1]?.text ?? '');
	}
	return false;
}

function creates({ head }: SqlStatement): boolean {
	return head[0] === 'CREATE' || head[0] === 'DO';
}

/** The role or tablespace that a statement makes or changes; of a membership, the member. */
function subjectOf({ head, sql }: Pick<SqlStatement, 'head' | 'sql'>): Subject | undefined {
	const tokens = tokensOf(sql, 200);
	const nameOf = (token: SqlToken | undefined) => token?.name ?? '';
	const at = (word: string) => tokens.findIndex(({ kind, text }) => kind === 'word' && text === word);
	if (head[0] === 'DO') {
		const quoted = createRole.exec(sql.toString('utf8').trim())?.[1]?.replaceAll("''", "'");
		return quoted === undefined
			? undefined
			: { kind: 'role', name: nameOf(tokensOf(Buffer.from(quoted))[0]) };
	}
	if (head[0] === 'CREATE' || head[0] === 'ALTER') {
		return { kind: head[1] === 'TABLESPACE' ? 'tablespace' : 'role', name: nameOf(tokens[2]) };
	}
	if (head[0] === 'COMMENT' || head[0] === 'SECURITY') {
		const on = at('ON');
		const kind = tokens[on + 1]?.text;
		if (kind !== 'ROLE' && kind !== 'TABLESPACE') return undefined;
		return { kind: kind === 'ROLE' ? 'role' : 'tablespace', name: nameOf(tokens[on + 2]) };
	}
	if (head[0] !== 'GRANT' && head[0] !== 'REVOKE') return undefined;
	const on = at('ON');
	if (tokens[on + 1]?.text === 'TABLESPACE') return { kind: 'tablespace', name: nameOf(tokens[on + 2]) };
	return { kind: 'role', name: nameOf(tokens[at(head[0] === 'GRANT' ? 'TO' : 'FROM') + 1]) };
}

async function names(client: Client, kind: Subject['kind']): Promise<Set<string>> {
	const { rows } = await client.query<{ name: string }>(
		kind === 'role'
			? 'SELECT rolname::text AS name FROM pg_catalog.pg_roles'
			: 'SELECT spcname::text AS name FROM pg_catalog.pg_tablespace',
	);
	return new Set(rows.map(({ name }) => name));
}

async function run(client: Client, statement: SqlStatement, database: string): Promise<void> {
	try {
		await runRaw(client, [statement.sql]);
	} catch (error) {
		throw statementError(error, statement, { database, serverVersion: '' });
	}
}

async function commit(client: Client): Promise<void> {
	await client.query('COMMIT').catch((error: unknown) => {
		throw restoreError(error, 'restoring the roles');
	});
}

function afterRolesError(error: unknown, statement: SqlStatement, { roles }: GlobalsReport): LifeboatError {
	const what =
		subjectOf(statement)?.kind === 'tablespace'
			? `tablespace ${subjectOf(statement)!.name}`
			: excerpt(statement.sql);
	const { message } = postgresError(
		serverErrorOf((error as LifeboatError).cause) ?? error,
		`restoring ${what}`,
	);
	return new LifeboatError('TABLESPACE_FAILED', `${message}. ${roles.length} roles were restored before`, {
		hint: 'Make the folder of the tablespace on the machine of the server, empty and owned by its user, then run the node again: what is there by now is kept',
		cause: error,
	});
}
