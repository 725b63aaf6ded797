import type { Readable } from 'node:stream';

import type { Manifest } from '../artifact/manifest';
import { textDisplay } from '../databases/postgres/archive/text';
import { verifyArchive } from '../databases/postgres/archive/verify';
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
	const archive = await verifyArchive(stream as AsyncIterable<Buffer>);
	const { count } = archive.largeObjects;
	const proved = [
		`The archive is whole: ${archive.tables.length} tables and ${count} large objects decode to their end`,
	];
	if (!tables) return proved;
	const found = new RowCounts();
	const statements = new Map(archive.toc.entries.map(({ dumpId, copyStmt }) => [dumpId, copyStmt ?? '']));
	const display = textDisplay(archive.toc);
	const counted = new Set<string>();
	for (const { dumpId, schema, name, rows } of archive.tables) {
		// Tables without columns are kept as statements, not as rows.
		if (rows === undefined) continue;
		// Where rows go through the root of their partition, the statement names that.
		const target = nameAt(tokensOf(Buffer.from(display(statements.get(dumpId)!)), 8), 1) ?? { schema, name };
		counted.add(JSON.stringify([target.schema ?? schema, target.name]));
		found.add(target, rows);
	}
	const comparable = tables.filter(({ schema, name }) => counted.has(JSON.stringify([schema, name])));
	compare(fileName, comparable, found);
	const total = comparable.reduce((sum, { rows }) => sum + rows, 0);
	return [...proved, `${comparable.length} tables have the rows that were counted, ${total} in all`];
}
