import type { Readable } from 'node:stream';

import type { Manifest, TableRows } from '../artifact/manifest';
import { countNewlines } from '../databases/postgres/restore/sql/newlines';
import { SqlLexer } from '../databases/postgres/restore/sql/lexer';
import { nameAt, tokensOf } from '../databases/postgres/restore/sql/statement';
import { LifeboatError } from '../errors';

/** A plain SQL dump: pg_dump's own last line is there, and behind each COPY are the rows that were counted when it was made. */
export async function provePlainSql(stream: Readable, { fileName, tables }: Manifest): Promise<string[]> {
	const lexer = new SqlLexer(stream);
	const found = new RowCounts();
	for (let item = await lexer.next(); item; item = await lexer.next()) {
		if (item.kind === 'meta-command') continue;
		if (item.hasCopyData) {
			// In COPY's text format a line is a row: line breaks in values are escaped.
			let rows = 0;
			for await (const chunk of lexer.copyData()) rows += countNewlines(chunk, 0, chunk.length);
			found.add(nameAt(tokensOf(item.sql, 8), 1), rows);
		} else if (item.head[0] === 'INSERT') found.add(nameAt(tokensOf(item.sql, 8), 2), 1);
	}
	if (!lexer.comments.header || !lexer.comments.trailer) {
		throw new LifeboatError(
			'INCOMPLETE',
			`${fileName} has no ${lexer.comments.header ? 'last' : 'first'} line as pg_dump writes it`,
			{
				hint: 'The dump is not whole. Take the same backup from another destination, or an older one',
			},
		);
	}
	const proved = ['The dump has its last line, and every statement is whole'];
	if (!tables) return proved;
	compare(fileName, tables, found);
	const total = tables.reduce((sum, { rows }) => sum + rows, 0);
	return [...proved, `All ${tables.length} tables have the rows that were counted, ${total} in all`];
}

/** Rows found, by table. */
export class RowCounts {
	private readonly rows = new Map<string, TableRows>();

	add(table: { schema: string | undefined; name: string } | undefined, rows: number): void {
		const { schema = '', name = '' } = table ?? {};
		const known = this.of({ schema, name });
		if (known) known.rows += rows;
		else this.rows.set(keyOf({ schema, name }), { schema, name, rows });
	}

	of(table: Pick<TableRows, 'schema' | 'name'>): TableRows | undefined {
		return this.rows.get(keyOf(table));
	}

	all(): Iterable<TableRows> {
		return this.rows.values();
	}
}

const MOST_NAMED = 5;

/** @throws LifeboatError `ROW_COUNT_MISMATCH`, which names the first tables that differ. */
export function compare(fileName: string, expected: readonly TableRows[], found: RowCounts): void {
	const wrong: string[] = [];
	const known = new Set(expected.map(keyOf));
	for (const table of expected) {
		const rows = found.of(table)?.rows ?? 0;
		if (rows !== table.rows) wrong.push(`${nameOf(table)} has ${rows} rows instead of ${table.rows}`);
	}
	for (const table of found.all()) {
		if (!known.has(keyOf(table)) && table.rows > 0)
			wrong.push(`${nameOf(table)} has ${table.rows} rows, but is not in the manifest`);
	}
	if (wrong.length === 0) return;
	const more = wrong.length > MOST_NAMED ? `; and ${wrong.length - MOST_NAMED} more` : '';
	throw new LifeboatError(
		'ROW_COUNT_MISMATCH',
		`${fileName} does not hold the rows that its manifest lists: ${wrong.slice(0, MOST_NAMED).join('; ')}${more}`,
		{ hint: 'Do not use this copy. Take the same backup from another destination, or an older one' },
	);
}

function keyOf({ schema, name }: Pick<TableRows, 'schema' | 'name'>): string {
	return JSON.stringify([schema, name]);
}

function nameOf({ schema, name }: TableRows): string {
	return schema === '' ? name : `${schema}.${name}`;
}
