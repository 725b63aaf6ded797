import { LifeboatError } from '../../../../errors';

import { quoteIdentifier } from '../../identifiers';

import { withRoles, type RoleMap } from './role-names';
import type { SqlMetaCommand, SqlStatement } from '../sql/lexer';
import { describeStatement, excerpt, nameAt, tokensOf, type SqlToken } from '../sql/statement';

/** What to do with a statement of a script. */
export type Decision =
	/** `alone`: the next statement may only be read once this one has run. `drop`: it may fail for want of its object. */
	{ action: 'run' | 'alone' | 'drop' | 'copy'; sql: Buffer } | { action: 'skip'; warning?: string };

export interface RuleOptions {
	/**
	 * What to do about `\connect`, CREATE DATABASE and DROP DATABASE: `refuse`, the default, or `skip-connect`, which
	 * loads what is meant for that one database into the target instead.
	 */
	metaCommands?: 'refuse' | 'skip-connect';
	/** Leave out what sets owners: everything then belongs to the user that restores. */
	noOwner?: boolean;
	/** Roles that take the place of those in the dump. */
	roles?: RoleMap;
	/** Leave out GRANT, REVOKE and ALTER DEFAULT PRIVILEGES. */
	noPrivileges?: boolean;
}

/**
 * Settings that pg_dump puts at the head of its scripts and that other versions of the server don't know. They change
 * how the restore runs, not what it brings.
 */
const harmlessSettings = new Set([
	'statement_timeout',
	'lock_timeout',
	'idle_in_transaction_session_timeout',
	'transaction_timeout',
	'check_function_bodies',
	'xmloption',
	'client_min_messages',
	'row_security',
	'default_table_access_method',
	'default_with_oids',
	'escape_string_warning',
]);

/** Statements that change nothing of how the script is to be read on: several may go to the server at once. */
const batchable = new Set(
	'INSERT UPDATE DELETE CREATE ALTER DROP COMMENT GRANT REVOKE SECURITY REFRESH TRUNCATE ANALYZE IMPORT'.split(
		' ',
	),
);
const batchableSelect = /^SELECT pg_catalog\.(?:setval|lo_\w+|lowrite)\(/;

const name = String.raw`(?:"(?:[^"]|"")*"|[A-Za-z_\x80-\xff][\w$\x80-\xff]*)`;
const versionEntry = new RegExp(
	String.raw`^(ALTER (?:FOREIGN )?TABLE (?:IF EXISTS )?(?:ONLY )?${name}(?:\.${name})? ALTER COLUMN ${name} SET \()([^()]*)\)$`,
	'i',
);
const ownerAtEnd = new RegExp(String.raw`\sOWNER\s+TO\s+${name}\s*$`, 'i');

/** Decides what becomes of each statement and meta-command of a script, before it reaches the server. */
export class RestoreRules {
	/** The database that the script itself connects to, once it has said so. */
	private scriptDatabase: string | undefined;

	/** Only DROP statements and settings so far: what pg_dump writes with `--clean`. */
	private inDropSection = true;

	constructor(
		private readonly options: RuleOptions,
		private readonly database: string,
		/** The names of the server's settings. */
		private readonly serverSettings: ReadonlySet<string>,
	) {}

	/** @throws LifeboatError `STATEMENT_REFUSED` */
	decide(statement: SqlStatement): Decision {
		const { roles } = this.options;
		const sql = roles && withRoles(statement.sql, statement.head, roles);
		return this.decideOn(sql ? { ...statement, sql } : statement);
	}

	private decideOn(statement: SqlStatement): Decision {
		const { head, sql, line } = statement;
		const [verb = '', second = ''] = head;
		const wasInDropSection = this.inDropSection;
		switch (verb) {
			case 'SET':
				return this.setting(statement);
			case 'RESET':
			case 'SAVEPOINT':
			case 'RELEASE':
				return { action: 'alone', sql };
			case 'BEGIN':
			case 'START':
				return { action: 'skip' };
			case 'COMMIT':
			case 'END':
				if (second !== 'PREPARED') return { action: 'skip' };
				throw this.refused(statement, 'a restore cannot take part in a two-phase commit');
			case 'ROLLBACK':
			case 'ABORT':
				if (head.includes('TO')) return { action: 'alone', sql };
				throw this.refused(statement, 'it would undo the restore: the script runs as one transaction');
			case 'PREPARE':
				if (second === 'TRANSACTION')
					throw this.refused(statement, 'a restore cannot take part in a two-phase commit');
				break;
			case 'VACUUM':
				return {
					action: 'skip',
					warning: `VACUUM on line ${line} was left out: it cannot run in a transaction`,
				};
			case 'COPY':
				this.inDropSection = false;
				if (!statement.hasCopyData)
					throw this.refused(
						statement,
						'only COPY ... FROM stdin belongs into a dump, not files of the server',
					);
				if (tokensOf(sql, 400).some(({ text }) => text === 'BINARY'))
					throw this.refused(statement, 'rows in binary format cannot stand in a script');
				return { action: 'copy', sql };
			case 'GRANT':
			case 'REVOKE':
				if (this.options.noPrivileges) return { action: 'skip' };
				break;
			case 'ALTER':
				if (this.options.noPrivileges && second === 'DEFAULT') return { action: 'skip' };
				if (this.options.noOwner && setsOnlyOwner(sql)) return { action: 'skip' };
				break;
		}
		if (isAboutDatabase(head)) return this.aboutDatabase(statement);
		if (wasInDropSection && isDrop(statement)) return { action: 'drop', sql };
		if (!/^(SELECT|COMMENT)$/.test(verb)) this.inDropSection = false;
		if (verb === 'ALTER') {
			const rest = withoutVersionEntry(sql);
			if (rest !== sql) return rest ? { action: 'run', sql: rest } : { action: 'skip' };
		}
		if (batchable.has(verb)) return { action: 'run', sql };
		if (verb === 'SELECT' && batchableSelect.test(sql.toString('latin1', 0, 60)))
			return { action: 'run', sql };
		return { action: 'alone', sql };
	}

	/**
	 * Meta-commands are psql's, and never run: those without effect on what is restored are passed over.
	 *
	 * @throws LifeboatError `META_COMMAND_REFUSED`
	 */
	metaCommand(command: SqlMetaCommand): { warning?: string } {
		const match = /^\\(restrict|unrestrict|connect|c)(?:\s+(.*))?$/s.exec(
			command.text.replace(/\s*;?\s*$/, ''),
		);
		const refused = (why: string, hint: string) =>
			new LifeboatError(
				'META_COMMAND_REFUSED',
				`The psql command ${firstWord(command.text)} on line ${command.line} of the script is refused: ${why}`,
				{
					hint,
				},
			);
		if (!match || command.insideStatement) {
			throw refused(
				'a restore only runs SQL, never commands of the psql program',
				command.text.startsWith('\\.')
					? 'Rows end here that no COPY before it has begun: the script is damaged'
					: 'Take the line out of the script if the restore can do without it, or run the script with psql',
			);
		}
		if (match[1]!.endsWith('restrict')) return {};
		const target = connectTarget(match[2] ?? '');
		if (target === undefined || target === '-' || target === this.database) return {};
		if (this.options.metaCommands !== 'skip-connect') {
			throw refused(
				`it leads to the database ${target}, and this restore is into ${this.database}`,
				'Choose to load the script into the target database whatever it connects to, or take the line out',
			);
		}
		if (this.scriptDatabase !== undefined && this.scriptDatabase !== target) {
			throw refused(
				`the script also fills the database ${this.scriptDatabase}, and one restore fills one database`,
				'Cut the script into one for each database',
			);
		}
		this.scriptDatabase = target;
		return {
			warning: `The script is meant for the database ${target}: it was loaded into ${this.database} instead`,
		};
	}

	private setting(statement: SqlStatement): Decision {
		const { head, sql, line } = statement;
		const scope = head[1] === 'LOCAL' || head[1] === 'SESSION' ? 2 : 1;
		if (head[scope] === 'AUTHORIZATION' && this.options.noOwner) return { action: 'skip' };
		const setting = head[scope]?.toLowerCase();
		if (setting !== undefined && harmlessSettings.has(setting) && !this.serverSettings.has(setting)) {
			return {
				action: 'skip',
				warning: `SET ${setting} on line ${line} was left out: this server does not know that setting`,
			};
		}
		return { action: 'alone', sql };
	}

	/** CREATE, ALTER, DROP, COMMENT ON, GRANT ON and the like, for a whole database. */
	private aboutDatabase(statement: SqlStatement): Decision {
		const { head, sql, line } = statement;
		const tokens = tokensOf(sql, 400);
		const at = nameTokenOfDatabase(tokens);
		const token = at === undefined ? undefined : tokens[at];
		const skip = this.options.metaCommands === 'skip-connect';
		if (head[0] === 'CREATE' || head[0] === 'DROP') {
			if (!skip) {
				throw this.refused(
					statement,
					`the restore is into the database ${this.database}, which the script must not create or drop`,
				);
			}
			if (token && head[0] === 'CREATE') this.scriptDatabase ??= token.name;
			return {
				action: 'skip',
				warning: `${head[0]} DATABASE ${token?.name ?? ''} on line ${line} was left out: the target is ${this.database}`,
			};
		}
		this.inDropSection = false;
		if (!token || token.name === this.database || !skip || token.name !== this.scriptDatabase) {
			return { action: 'alone', sql };
		}
		const renamed = [
			sql.subarray(0, token.start),
			Buffer.from(quoteIdentifier(this.database)),
			sql.subarray(token.end),
		];
		return { action: 'alone', sql: Buffer.concat(renamed) };
	}

	private refused(statement: SqlStatement, why: string): LifeboatError {
		return new LifeboatError(
			'STATEMENT_REFUSED',
			`The statement on line ${statement.line} of the script is refused: ${why}. Statement: ${excerpt(statement.sql)}`,
			{
				hint: isAboutDatabase(statement.head)
					? 'Choose to load the script into the target database whatever database it creates and connects to, or dump without --create'
					: 'Take it out of the script, or run the script with psql',
			},
		);
	}
}

function firstWord(text: string): string {
	return /^\S{1,30}/.exec(text)?.[0] ?? '\\';
}

/** The database that the arguments of `\connect` name: a name, quoted or not, or connection settings with dbname. */
function connectTarget(args: string): string | undefined {
	const rest = args.replace(/^-reuse-previous=\w+\s+/, '').trim();
	const word = /^(?:"((?:[^"]|"")*)"|'((?:[^']|'')*)'|(\S+))/.exec(rest);
	const text = word?.[1]?.replaceAll('""', '"') ?? word?.[2]?.replaceAll("''", "'") ?? word?.[3];
	if (text === undefined) return undefined;
	const inSettings = /(?:^|\s)dbname\s*=\s*(?:'((?:[^'\\]|\\.)*)'|(\S+))/.exec(text);
	if (inSettings) return inSettings[1]?.replace(/\\(.)/g, '$1') ?? inSettings[2];
	const inUri = /^postgres(?:ql)?:\/\/[^/]*\/([^?]*)/.exec(text);
	return inUri ? decodeURIComponent(inUri[1]!) : text;
}

function isAboutDatabase(head: readonly string[]): boolean {
	const [verb, second] = head;
	if (verb === 'CREATE' || verb === 'ALTER' || verb === 'DROP') return second === 'DATABASE';
	if (verb === 'COMMENT') return second === 'ON' && head[2] === 'DATABASE';
	if (verb === 'SECURITY' || verb === 'GRANT' || verb === 'REVOKE') {
		const on = head.indexOf('ON');
		return on !== -1 && head[on + 1] === 'DATABASE';
	}
	return false;
}

function nameTokenOfDatabase(tokens: readonly SqlToken[]): number | undefined {
	let at = tokens.findIndex(({ kind, text }) => kind === 'word' && text === 'DATABASE') + 1;
	if (at === 0) return undefined;
	while (tokens[at]?.kind === 'word' && /^(IF|NOT|EXISTS)$/.test(tokens[at]!.text)) at += 1;
	return nameAt(tokens, at) ? at : undefined;
}

/** What pg_dump's `--clean` writes to remove what is there: in an empty database there is nothing to remove. */
function isDrop({ head, sql }: SqlStatement): boolean {
	if (head[0] === 'DROP') return true;
	const text = sql.toString('latin1', 0, 4096);
	if (head[0] === 'ALTER') {
		return /\s(?:DROP\s+(?:CONSTRAINT|DEFAULT|IDENTITY)|ALTER\s+COLUMN\s+.*\sDROP\s|DETACH\s+PARTITION)/is.test(
			text,
		);
	}
	// A view with placeholders takes the place of one that others depend on, so that it can be dropped.
	if (head[0] === 'CREATE') return /^CREATE OR REPLACE VIEW .* AS\s+SELECT\s+NULL::/s.test(text);
	return /^SELECT pg_catalog\.lo_unlink\(/.test(text);
}

/** Whether a statement is `ALTER ... OWNER TO role` and nothing besides. */
function setsOnlyOwner(sql: Buffer): boolean {
	const text = sql.toString('latin1');
	const end = ownerAtEnd.exec(text);
	if (!end) return false;
	const rest = text.slice(0, end.index).replace(/"(?:[^"]|"")*"|'(?:[^']|'')*'/g, 'x');
	return !/,/.test(rest.replace(/\([^]*\)/, ''));
}

/**
 * Takes the entry `pg_attver` out of `ALTER TABLE ... ALTER COLUMN ... SET (...)`: an internal note of newer minor
 * versions of the server, which an older pg_dump takes for an option and every server refuses.
 *
 * @returns the same buffer where there is none; undefined where nothing is left to set.
 */
export function withoutVersionEntry(sql: Buffer): Buffer | undefined {
	if (!sql.includes('pg_attver')) return sql;
	const match = versionEntry.exec(sql.toString('latin1'));
	if (!match) return sql;
	const entries = match[2]!.split(',').map((entry) => entry.trim());
	const kept = entries.filter((entry) => !/^pg_attver\s*=\s*'?\d+'?$/i.test(entry));
	if (kept.length === entries.length) return sql;
	return kept.length === 0 ? undefined : Buffer.from(`${match[1]}${kept.join(', ')})`, 'latin1');
}

/** For progress and warnings: what a statement does, in a few words. */
export function summarize(sql: Buffer): string {
	const { kind, object } = describeStatement(sql);
	return object === undefined ? kind : `${kind} ${object}`;
}
