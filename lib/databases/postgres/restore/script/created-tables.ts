import type { QualifiedName } from '../sql/statement';
import { nameAt, tokensOf } from '../sql/statement';

/**
 * The tables that a transaction has created itself, so that nobody else sees them yet. Their rows can be loaded frozen:
 * what reads them next, the building of an index, say, then need not write every page again to note that they are valid.
 *
 * @see https://www.postgresql.org/docs/current/sql-copy.html (FREEZE)
 */
export class CreatedTables {
	private readonly names = new Set<string>();

	/** To be told of each statement that is run. */
	note(sql: Buffer, head: readonly string[]): void {
		const [verb, kind, third] = head;
		if (verb === 'SAVEPOINT' || verb === 'ROLLBACK') this.forget();
		if (verb !== 'CREATE' || !(kind === 'TABLE' || (kind === 'UNLOGGED' && third === 'TABLE'))) return;
		const tokens = tokensOf(sql, 12);
		const name = nameAt(tokens, kind === 'TABLE' ? 2 : 3);
		// A table with IF NOT EXISTS may be an older one; a partitioned one has no rows of its own.
		if (name?.schema === undefined || sql.includes('PARTITION BY')) return;
		this.names.add(keyOf(name));
	}

	/** The transaction ended, or went into a part that may be undone. */
	forget(): void {
		this.names.clear();
	}

	/** A COPY statement of pg_dump so that it loads frozen rows where that may be; any other unchanged. */
	freeze(sql: Buffer, table: QualifiedName | undefined): Buffer {
		if (table?.schema === undefined || !this.names.has(keyOf(table))) return sql;
		return frozen(sql);
	}
}

/** `COPY ... FROM stdin` with the option FREEZE; with options of its own it stays as it is. */
export function frozen(sql: Buffer): Buffer {
	const end = sql.toString('latin1', Math.max(0, sql.length - 20));
	return /\)?\sFROM\s+stdin\s*$/i.test(end) ? Buffer.concat([sql, Buffer.from(' WITH (FREEZE)')]) : sql;
}

function keyOf({ schema, name }: QualifiedName): string {
	return JSON.stringify([schema, name]);
}
