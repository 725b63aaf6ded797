import { Readable } from 'node:stream';

import type { Client } from 'pg';

import { restoreError } from './errors';
import { isAboutDatabase } from './rules/refusal';
import { RestoreRules, type RuleOptions } from './rules/rules';
import { runTolerant } from './script/tolerant';
import { SqlLexer, type SqlStatement } from './sql/lexer';
import { excerpt } from './sql/statement';

/** What a server answers that can't take a property: no such role, setting, value or label provider, or no right to it. */
const CANNOT_TAKE = /^(?:0A|22|25|28|42|55)/;

/**
 * Gives a database what belongs to it as a whole, in the transaction that the session is in. What this server can't take is
 * left out: neither rows nor definitions depend on it.
 *
 * @param statements in the client encoding of the session, about whatever database they name.
 * @param names the database that the session is in, and the one whose place it takes in the end.
 * @returns a warning that names what was left out, if anything. @throws LifeboatError when the connection is lost, say.
 */
export async function restoreDatabaseProperties(
	client: Client,
	statements: Buffer,
	names: { into: string; replaces: string },
	options: RuleOptions,
): Promise<string[]> {
	const missing: string[] = [];
	try {
		const lexer = await lexerFor(client, statements);
		const rules = new RestoreRules(
			{ ...options, metaCommands: 'skip-connect' },
			names.into,
			new Set(),
			names.replaces,
		);
		for (let item = await lexer.next(); item; item = await lexer.next()) {
			if (item.kind !== 'statement' || !isProperty(item)) continue;
			const decision = rules.decide(item);
			if (decision.action === 'skip') continue;
			const refused = await runTolerant(client, decision.sql, CANNOT_TAKE);
			if (refused) missing.push(`${excerpt(decision.sql)} (${refused.message})`);
		}
		if (/^-- /m.test(statements.toString('latin1')))
			missing.push('a part that the dump could not hold (see the comments at its head)');
		if (missing.length === 0) return [];
		return [`Of what belongs to the database as a whole, this was not restored: ${missing.join('; ')}`];
	} catch (error) {
		throw restoreError(error, `restoring the settings of database ${names.replaces}`);
	}
}

/** Grants by others than the owner are made in their name. */
function isProperty({ head }: SqlStatement): boolean {
	return isAboutDatabase(head) || head.join(' ').includes('SESSION AUTHORIZATION');
}

async function lexerFor(client: Client, statements: Buffer): Promise<SqlLexer> {
	const { rows } = await client.query<{ encoding: string; standard: string }>(
		`SELECT pg_catalog.current_setting('client_encoding') AS encoding,
			pg_catalog.current_setting('standard_conforming_strings') AS standard`,
	);
	const { encoding, standard } = rows[0]!;
	const lexer = new SqlLexer(Readable.from([statements]));
	lexer.encoding = encoding;
	lexer.standardConformingStrings = standard === 'on';
	return lexer;
}
