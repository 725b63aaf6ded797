import { unquoteIdentifier } from '../identifiers';

// pg_dump quotes every other name.
const identifier = String.raw`(?:"(?:[^"]|"")+"|[a-z_][a-z0-9_]*)`;
const identifiers = `NULL|${identifier}(?:, ${identifier})*`;

/** `a.b`, the whole of a text. */
export const qualifiedIdentifier = new RegExp(`^(${identifier})\\.(${identifier})$`);

const declaration = new RegExp(
	`^DECLARE _pg_dump_cursor CURSOR FOR SELECT (${identifiers}) FROM ONLY (${identifier})\\.(${identifier})( [^]*)?$`,
);
const insertion = new RegExp(
	`^INSERT INTO (${identifier})\\.(${identifier}) (?:DEFAULT VALUES|\\(c(?:, c)*\\) (?:OVERRIDING SYSTEM VALUE )?VALUES \\(NULL(?:, NULL)*\\));\\n+$`,
);

/** A name as SQL, its bytes as Latin-1 characters, and its parts as they read. */
export interface QualifiedName {
	sql: string;
	schema: string;
	name: string;
	/** The name alone, without quotes, its bytes as Latin-1 characters. */
	nameBytes: string;
}

/** A table whose rows pg_dump wants to read. Texts hold bytes as Latin-1 characters. */
export interface RowCursor extends QualifiedName {
	/** As SQL: `a, "B"`. Empty for a table without columns that are stored. */
	columns: string;
	/** How many pg_dump expects to get: one of nulls where there are none. */
	columnCount: number;
	/** The statement that reads the rows. */
	copyOut: string;
}

/** Understands the cursor that pg_dump --column-inserts declares for the rows of a table. */
export function parseCursor(sql: string): RowCursor | undefined {
	const match = declaration.exec(sql);
	if (!match) return undefined;
	const [, selected, schema, name, filter] = match as unknown as [string, string, string, string, string?];
	const table = qualifiedName(schema, name);
	// A column of that name would stand in quotes.
	const columns = selected === 'NULL' ? '' : selected;
	return {
		...table,
		columns,
		columnCount: columns.match(new RegExp(identifier, 'g'))?.length ?? 1,
		// What pg_dump itself would send: reading the table is faster than a query, where it does.
		copyOut: filter
			? `COPY (SELECT ${columns} FROM ONLY ${table.sql}${filter}) TO stdout`
			: `COPY ${table.sql} ${columns === '' ? '' : `(${columns}) `}TO stdout`,
	};
}

/**
 * The table that pg_dump wants the rows to be put into, from the statement it writes for a row of nothing but nulls. It may be
 * the root of the partition that they were read from.
 */
export function insertTarget(text: string): QualifiedName | undefined {
	const match = insertion.exec(text);
	return match ? qualifiedName(match[1]!, match[2]!) : undefined;
}

function qualifiedName(schema: string, name: string): QualifiedName {
	const nameBytes = unquoteIdentifier(name);
	return {
		...{ sql: `${schema}.${name}`, schema: bytesToText(unquoteIdentifier(schema)) },
		...{ name: bytesToText(nameBytes), nameBytes },
	};
}

/** The qualified names in `LOCK TABLE a.b, "C".d IN ACCESS SHARE MODE`. */
export function lockedTables(sql: string): string[] {
	return sql.match(new RegExp(`${identifier}\\.${identifier}`, 'g'))?.map(bytesToText) ?? [];
}

function bytesToText(bytes: string): string {
	return Buffer.from(bytes, 'latin1').toString();
}
