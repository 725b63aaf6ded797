import type { Readable } from 'node:stream';

import type { Manifest } from '../artifact/manifest';
import { textDisplay } from '../databases/postgres/archive/text';
import { verifyArchive } from '../databases/postgres/archive/verify';
import { SqlLexer } from '../databases/postgres/restore/sql/lexer';
import { nameAt, tokensOf } from '../databases/postgres/restore/sql/statement';

import { compare, RowCounts } from './plain-sql';

/**
 * A custom archive of pg_dump: each data block is there and decodes to its end marker, and holds the rows that were counted when
 * it was made.
 */
export async function proveCustomArchive(
	stream: Readable,
	{ fileName, tables }: Manifest,
): Promise<string[]> {
	const archive = await verifyArchive(stream as AsyncIterable<Buffer>, { countInserts });
	const { count } = archive.largeObjects;
	const proved = [
		`The archive is whole: ${archive.tables.length} tables and ${count} large objects decode to their end`,
	];
	if (!tables) return proved;
	const found = new RowCounts();
	const statements = new Map(archive.toc.entries.map(({ dumpId, copyStmt }) => [dumpId, copyStmt ?? '']));
	const display = textDisplay(archive.toc);
	for (const { dumpId, schema, name, rows = 0 } of archive.tables) {
		// Where rows go through the root of their partition, the statement names that.
		const target = nameAt(tokensOf(Buffer.from(display(statements.get(dumpId)!)), 8), 1) ?? { schema, name };
		found.add({ schema: target.schema ?? schema, name: target.name }, rows);
	}
	// One that the archive has no rows of at all has none: it must have had none when it was dumped.
	compare(fileName, tables, found);
	const total = tables.reduce((sum, { rows }) => sum + rows, 0);
	return [...proved, `All ${tables.length} tables have the rows that were counted, ${total} in all`];
}

/** Of tables without columns rows are kept as statements, one for each. */
async function countInserts(content: AsyncIterable<Buffer>): Promise<number> {
	const lexer = new SqlLexer(content);
	let rows = 0;
	for (let item = await lexer.next(); item; item = await lexer.next()) {
		if (item.kind === 'statement' && item.head[0] === 'INSERT') rows += 1;
	}
	return rows;
}
