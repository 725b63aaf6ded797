import type { Client } from 'pg';

import { quoteIdentifier, quoteQualified } from '../../identifiers';
import type { QualifiedName } from '../sql/statement';

/** A table of the target that rows are loaded into. */
export interface ExistingTable extends QualifiedName {
	oid: string;
	kind: string;
	primaryKey: string[] | null;
	columns: { name: string; generated: boolean; required: boolean }[];
}

/** Undefined where there is no such table. */
export async function lookAtTable(
	client: Client,
	{ schema, name }: QualifiedName,
): Promise<ExistingTable | undefined> {
	const text = schema === undefined ? quoteIdentifier(name) : quoteQualified(schema, name);
	const { rows } = await client.query<{
		oid: string;
		kind: string;
		schema: string;
		key: string | null;
	}>(
		`SELECT c.oid::text, c.relkind::text AS kind, n.nspname::text AS schema,
			(SELECT pg_catalog.json_agg(a.attname ORDER BY a.attnum)::text FROM pg_catalog.pg_index i JOIN pg_catalog.pg_attribute a
				ON a.attrelid = c.oid AND a.attnum = ANY (i.indkey) WHERE i.indrelid = c.oid AND i.indisprimary) AS key
		FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		WHERE c.oid = pg_catalog.to_regclass($1) AND c.relkind IN ('r', 'p', 'f')`,
		[text],
	);
	const [row] = rows;
	if (!row) return undefined;
	const columns = await client.query<{ name: string; generated: string; required: string }>(
		`SELECT attname::text AS name, (attgenerated <> '')::text AS generated,
			(attnotnull AND NOT atthasdef AND attidentity = '')::text AS required
		FROM pg_catalog.pg_attribute WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped ORDER BY attnum`,
		[row.oid],
	);
	return {
		...{ schema: row.schema, name, oid: row.oid, kind: row.kind },
		primaryKey: row.key === null ? null : (JSON.parse(row.key) as string[]),
		columns: columns.rows.map((column) => ({
			...{
				name: column.name,
				generated: column.generated === 'true',
				required: column.required === 'true',
			},
		})),
	};
}

/** What keeps rows with these columns out of a table. */
export function columnProblems(table: ExistingTable, columns: readonly string[]): string[] {
	const problems: string[] = [];
	const known = new Map(table.columns.map((column) => [column.name, column]));
	for (const name of columns) {
		const column = known.get(name);
		if (!column) problems.push(`${qualify(table)} has no column ${quoteIdentifier(name)}`);
		else if (column.generated)
			problems.push(`column ${quoteIdentifier(name)} of ${qualify(table)} is generated`);
	}
	const given = new Set(columns);
	for (const { name, required } of table.columns) {
		if (required && !given.has(name))
			problems.push(
				`column ${quoteIdentifier(name)} of ${qualify(table)} needs a value, which the backup has not`,
			);
	}
	return problems;
}

/** As statements take it. */
export function qualify({ schema, name }: QualifiedName): string {
	return quoteQualified(schema ?? 'public', name);
}
