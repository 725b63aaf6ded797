import type { SequenceValue, TableRows } from '../../../artifact/manifest';
import { verifyArchive } from '../archive/verify';
import { sequenceValue } from '../dump/sequence-values';
import { countNewlines } from '../restore/sql/newlines';
import { SqlLexer } from '../restore/sql/lexer';
import { nameAt, tokensOf } from '../restore/sql/statement';
import { incomplete } from '../dump/incomplete';

/** What a dump holds, found in its own bytes. */
export interface Findings {
	tables: TableRows[];
	sequences: SequenceValue[];
}

/** Reads a plain dump to its end. @throws LifeboatError `INCOMPLETE` where it is not whole. */
export async function findInPlain(source: AsyncIterable<Buffer>): Promise<Findings> {
	const lexer = new SqlLexer(source);
	const tables: TableRows[] = [];
	const sequences: SequenceValue[] = [];
	for (let item = await lexer.next(); item; item = await lexer.next()) {
		if (item.kind === 'meta-command') continue;
		if (item.hasCopyData) {
			let rows = 0;
			for await (const chunk of lexer.copyData()) rows += countNewlines(chunk, 0, chunk.length);
			const table = nameAt(tokensOf(item.sql, 8), 1);
			if (!table) throw incomplete('it holds rows of no table');
			tables.push({ schema: table.schema ?? '', name: table.name, rows });
		} else if (item.head[0] === 'SELECT') {
			const value = sequenceValue(`${item.sql.toString('latin1')};`);
			if (value) sequences.push(value);
		}
	}
	if (!lexer.comments.header || !lexer.comments.trailer) throw incomplete('its last line is missing');
	return { tables, sequences };
}

/** Reads a custom archive to its end. @throws LifeboatError `ARCHIVE_DAMAGED` where it is not whole. */
export async function findInArchive(source: AsyncIterable<Buffer>): Promise<Findings> {
	const { toc, tables } = await verifyArchive(source);
	const sequences = toc.entries
		.filter(({ desc }) => desc === 'SEQUENCE SET')
		.flatMap(({ defn }) => sequenceValue(Buffer.from(defn ?? '', toc.textEncoding).toString('latin1')) ?? []);
	return { sequences, tables: tables.map(({ schema, name, rows = 0 }) => ({ schema, name, rows })) };
}
