import type { Readable } from 'node:stream';

import { readArchive } from '../archive/reader';
import { archiveScript } from '../restore/archive/script';
import { detectFormat } from '../restore/content-format';
import { SqlLexer, type SqlStatement } from '../restore/sql/lexer';
import { nameAt, tokensOf, type SqlToken } from '../restore/sql/statement';

/** What a dump asks of the place where it is restored. */
export interface DumpNeeds {
	extensions: ReadonlySet<string>;
	/** Roles that own or are granted something, or that a policy names. */
	roles: ReadonlySet<string>;
	/** Names of subscriptions. */
	subscriptions: ReadonlySet<string>;
	/** Names of constraints that were not valid, or not enforced, when they were dumped. */
	notValid: ReadonlySet<string>;
	/** Tablespaces that objects lie in, or that the dump creates. */
	tablespaces: ReadonlySet<string>;
	/** The encoding of its texts as PostgreSQL calls it: `UTF8`, or `SQL_ASCII` for bytes of any. */
	encoding: string;
	/** It holds no database, but roles and tablespaces of a whole server. */
	isGlobals: boolean;
}

/** Roles are named behind these words. */
const roleWords = new Set(['TO', 'FROM', 'ROLE', 'AUTHORIZATION', 'BY', 'FOR']);
/** Words in the place of a role that stand for none of their own. */
const pseudoRoles = /^(?:public|current_user|current_role|session_user|none|default|user|role|group|pg_.*)$/;
/** Statements whose text may be long are looked at as far as this many of their words. */
const MOST_TOKENS = 4000;

/** Reads a dump, its rows passed over, for what has to be there before it can be restored. */
export async function readNeeds(source: Readable): Promise<DumpNeeds> {
	const needs: Needs = {
		extensions: new Set(),
		roles: new Set(),
		subscriptions: new Set(),
		notValid: new Set(),
		tablespaces: new Set(),
		encoding: 'UTF8',
		isGlobals: false,
	};
	try {
		const { format, bytes } = await detectFormat(source);
		const script =
			format === 'pg-custom' ? archiveScript(await readArchive(bytes), { schemaOnly: true }) : bytes;
		const lexer = new SqlLexer(script);
		for (let item = await lexer.next(); item; item = await lexer.next()) {
			if (item.kind === 'meta-command') continue;
			if (item.hasCopyData) for await (const chunk of lexer.copyData()) void chunk;
			else note(item, needs);
		}
		needs.isGlobals = lexer.comments.isCluster === true;
	} finally {
		source.destroy();
	}
	return needs;
}

type Needs = {
	-readonly [Name in keyof DumpNeeds]: DumpNeeds[Name] extends ReadonlySet<string>
		? Set<string>
		: DumpNeeds[Name];
};

function note({ head, sql }: SqlStatement, needs: Needs): void {
	const [verb, second] = head;
	if (verb === 'CREATE' && second === 'EXTENSION') {
		const tokens = tokensOf(sql, 8);
		const at = tokens[2]?.text === 'IF' ? 5 : 2;
		const extension = nameAt(tokens, at);
		if (extension) needs.extensions.add(extension.name);
		return;
	}
	if (verb === 'SET' && (second === 'CLIENT_ENCODING' || second === 'DEFAULT_TABLESPACE')) {
		const { text = '', name = '' } = tokensOf(sql, 8)[3] ?? {};
		const value = text.startsWith("'") ? text.slice(1, -1) : name;
		if (second === 'CLIENT_ENCODING') needs.encoding = value;
		else if (value !== '') needs.tablespaces.add(value);
		return;
	}
	if (verb === 'CREATE' && second === 'TABLESPACE') {
		const tablespace = nameAt(tokensOf(sql, 8), 2);
		if (tablespace) needs.tablespaces.add(tablespace.name);
		return;
	}
	if (verb === 'CREATE' && second === 'SUBSCRIPTION') {
		const subscription = nameAt(tokensOf(sql, 8), 2);
		if (subscription) needs.subscriptions.add(subscription.name);
		return;
	}
	if (verb === 'ALTER' && /NOT\s+(?:VALID|ENFORCED)\s*$/i.test(sql.toString('latin1', sql.length - 40))) {
		const tokens = tokensOf(sql, MOST_TOKENS);
		const at = tokens.findIndex(({ kind, text }) => kind === 'word' && text === 'CONSTRAINT');
		const constraint = at < 0 ? undefined : nameAt(tokens, at + 1);
		if (constraint) needs.notValid.add(constraint.name);
		return;
	}
	if (!namesRoles(head)) return;
	const tokens = tokensOf(sql, MOST_TOKENS);
	// Of all that ALTER may say, only who is to own it; the owner is named last.
	const from = verb === 'ALTER' && second !== 'DEFAULT' ? ownerAt(tokens) : 0;
	for (const role of rolesIn(tokens.slice(from))) needs.roles.add(role);
}

function namesRoles(head: readonly string[]): boolean {
	const [verb, second] = head;
	if (verb === 'GRANT' || verb === 'REVOKE') return true;
	if (verb === 'ALTER') return true;
	if (verb === 'SET') return head.includes('AUTHORIZATION') || second === 'ROLE';
	return verb === 'CREATE' && /^(?:POLICY|SCHEMA|USER)$/.test(second ?? '');
}

function ownerAt(tokens: readonly SqlToken[]): number {
	const at = tokens.findLastIndex(({ text }, index) => text === 'OWNER' && tokens[index + 1]?.text === 'TO');
	return at < 0 ? tokens.length : at;
}

/** Takes too many rather than too few: a role more does no harm where nobody else's are. */
function rolesIn(tokens: readonly SqlToken[]): string[] {
	const roles: string[] = [];
	for (let at = 0; at < tokens.length; at++) {
		const { kind, text } = tokens[at]!;
		if (kind !== 'word' || !roleWords.has(text)) continue;
		do {
			const name = tokens[at + 1];
			if (!name || name.kind === 'other') break;
			const role = name.kind === 'string' ? name.text.slice(1, -1).replaceAll("''", "'") : name.name;
			if (name.kind !== 'word' || !pseudoRoles.test(role)) roles.push(role);
			at += 2;
		} while (tokens[at]?.text === ',' && tokens[at]?.kind === 'other');
		at -= 1;
	}
	return roles;
}
