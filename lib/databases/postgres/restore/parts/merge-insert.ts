import { LifeboatError } from '../../../../errors';
import type { QualifiedName } from '../sql/statement';
import { nameAt, tokensOf, type SqlToken } from '../sql/statement';

import { quoteAscii } from './merge-copy';
import { columnsBehind } from './statement-relations';

/** The table of an INSERT statement; undefined for any other. */
export function insertedTable(sql: Buffer): QualifiedName | undefined {
	const tokens = tokensOf(sql, 8);
	return tokens[0]?.text === 'INSERT' && tokens[1]?.text === 'INTO' ? nameAt(tokens, 2) : undefined;
}

/**
 * An INSERT statement of a dump as it may go into a table that was there before.
 *
 * @param key the primary key of the table, if rows that have one of its values stay as they are.
 * @throws LifeboatError `INSERTS_UNSUPPORTED` where it doesn't name its columns: the table's may stand in another order.
 */
export function insertIntoExisting(
	sql: Buffer,
	{ schema, name }: QualifiedName,
	key: readonly string[] | undefined,
): Buffer {
	const tokens = tokensOf(sql, Infinity, sql.length);
	if (!columnsBehind(tokens, 2)) {
		throw new LifeboatError(
			'INSERTS_UNSUPPORTED',
			`The INSERT statements for ${schema ?? 'public'}.${name} name no columns, and the table was there before: its columns may stand in another order. Nothing was changed`,
			{
				hint: 'Restore the rows with their tables, or take dumps with COPY or with pg_dump --column-inserts',
			},
		);
	}
	if (!key || hasConflictClause(tokens)) return sql;
	return Buffer.concat([sql, Buffer.from(` ON CONFLICT (${key.map(quoteAscii).join(', ')}) DO NOTHING`)]);
}

/** How many rows an `INSERT ... VALUES` holds. */
export function rowsOfInsert(sql: Buffer): number {
	let depth = 0;
	let isInValues = false;
	let rows = 0;
	for (const { kind, text } of tokensOf(sql, Infinity, sql.length)) {
		if (kind === 'word' && text === 'VALUES' && depth === 0) isInValues = true;
		if (kind === 'word' && text === 'ON' && depth === 0) break;
		if (kind !== 'other') continue;
		if (text === '(' && depth++ === 0 && isInValues) rows += 1;
		if (text === ')') depth -= 1;
	}
	return rows;
}

/** What `pg_dump --on-conflict-do-nothing` writes. */
function hasConflictClause(tokens: readonly SqlToken[]): boolean {
	const [on, conflict] = tokens.slice(-4);
	return on?.text === 'ON' && conflict?.text === 'CONFLICT';
}
