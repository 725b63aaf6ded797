import type { SqlMetaCommand, SqlStatement } from '../sql/lexer';
import { tokensOf } from '../sql/statement';

import type { Decision } from './decision';
import { isDrop } from './drop-section';
import { setsOnlyOwner } from './owner-only';
import { isAboutDatabase, refusal } from './refusal';
import { withRoles, type RoleMap } from './role-names';
import { ScriptDatabase } from './script-database';
import { withoutVersionEntry } from './version-entry';

export type { Decision } from './decision';

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

/** Decides what becomes of each statement and meta-command of a script, before it reaches the server. */
export class RestoreRules {
	private readonly scriptDatabase: ScriptDatabase;

	/** Only DROP statements and settings so far: what pg_dump writes with `--clean`. */
	private inDropSection = true;

	constructor(
		private readonly options: RuleOptions,
		database: string,
		/** The names of the server's settings. */
		private readonly serverSettings: ReadonlySet<string>,
		/** The database whose place the target takes in the end. */
		replaces = database,
	) {
		this.scriptDatabase = new ScriptDatabase(database, replaces, options.metaCommands === 'skip-connect');
	}

	/** @throws LifeboatError `STATEMENT_REFUSED`, `META_COMMAND_REFUSED` for one that the statement stands behind. */
	decide(statement: SqlStatement): Decision {
		this.scriptDatabase.noteStatement();
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
				throw refusal(statement, 'a restore cannot take part in a two-phase commit');
			case 'ROLLBACK':
			case 'ABORT':
				if (head.includes('TO')) return { action: 'alone', sql };
				throw refusal(statement, 'it would undo the restore: the script runs as one transaction');
			case 'PREPARE':
				if (second === 'TRANSACTION')
					throw refusal(statement, 'a restore cannot take part in a two-phase commit');
				break;
			case 'VACUUM':
				return {
					action: 'skip',
					warning: `VACUUM on line ${line} was left out: it cannot run in a transaction`,
				};
			case 'COPY':
				this.inDropSection = false;
				if (!statement.hasCopyData)
					throw refusal(statement, 'only COPY ... FROM stdin belongs into a dump, not files of the server');
				if (tokensOf(sql, 400).some(({ text }) => text === 'BINARY'))
					throw refusal(statement, 'rows in binary format cannot stand in a script');
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
		if (isAboutDatabase(head)) {
			if (verb !== 'CREATE' && verb !== 'DROP') this.inDropSection = false;
			return this.scriptDatabase.decide(statement);
		}
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

	/** @throws LifeboatError `META_COMMAND_REFUSED` */
	metaCommand(command: SqlMetaCommand): { warning?: string } {
		return this.scriptDatabase.metaCommand(command);
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
}
