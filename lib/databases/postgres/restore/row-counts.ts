import type { Client } from 'pg';

import type { TableRows } from '../../../artifact/manifest';
import { LifeboatError } from '../../../errors';

import { quoteIdentifier, quoteQualified } from '../identifiers';

/** Rows loaded into each table, by what the server said of each COPY and INSERT. */
export class LoadedRows {
	private readonly rows = new Map<string, TableRows>();

	private readonly bytes = new Map<string, number>();

	/** @param schema undefined where the script doesn't name it. */
	add(schema: string | undefined, name: string, rows: number, bytes = 0): void {
		const key = JSON.stringify([schema ?? null, name]);
		this.bytes.set(key, (this.bytes.get(key) ?? 0) + bytes);
		const known = this.rows.get(key);
		if (known) known.rows += rows;
		else this.rows.set(key, { schema: schema ?? '', name, rows });
	}

	get tables(): number {
		return this.rows.size;
	}

	private readonly kept = new Map<string, number>();

	/** So many of a table's rows were there already, and were left as they are. */
	keep(schema: string | undefined, name: string, rows: number): void {
		const key = JSON.stringify([schema ?? null, name]);
		this.kept.set(key, (this.kept.get(key) ?? 0) + rows);
	}

	/** Rows of all tables that were there already. */
	get keptRows(): number {
		return [...this.kept.values()].reduce((sum, rows) => sum + rows, 0);
	}

	keptOf(schema: string, name: string): number {
		return this.kept.get(JSON.stringify([schema, name])) ?? 0;
	}

	/** Bytes of COPY text loaded into a table, given as JSON of its schema (or null) and name. */
	bytesOf(key: string): number {
		return this.bytes.get(key) ?? 0;
	}

	/** Undefined where nothing was loaded into that table. */
	of(schema: string, name: string): number | undefined {
		return this.rows.get(JSON.stringify([schema, name]))?.rows;
	}

	/** All tables, those without a schema looked up along the session's present search path. */
	async resolved(client: Client): Promise<TableRows[]> {
		const merged = new LoadedRows();
		for (const { schema, name, rows } of this.rows.values()) {
			merged.add(schema === '' ? await schemaOf(client, name) : schema, name, rows);
		}
		return [...merged.rows.values()];
	}
}

async function schemaOf(client: Client, name: string): Promise<string> {
	const { rows } = await client.query<{ schema: string }>(
		`SELECT n.nspname::text AS schema FROM pg_catalog.pg_class c
		JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = pg_catalog.to_regclass($1)`,
		[quoteIdentifier(name)],
	);
	return rows[0]?.schema ?? '';
}

/**
 * Counts the rows of each table that the manifest lists and compares.
 *
 * Configuration tables of extensions hold rows of the extension's own besides the dumped ones: of those, only the rows
 * loaded are compared.
 *
 * @param trustLoaded nothing else has touched the rows since the server said how many it took: then it need not count them.
 * @throws LifeboatError `ROW_COUNT_MISMATCH` naming the tables.
 */
export async function verifyRowCounts(
	client: Client,
	database: string,
	expected: readonly TableRows[],
	loaded: LoadedRows,
	{ trustLoaded = false, onTable }: { trustLoaded?: boolean; onTable?: (done: number) => void } = {},
): Promise<TableRows[]> {
	const ofExtensions = await extensionTables(client);
	const kinds = await tableKinds(client);
	const found: TableRows[] = [];
	const wrong: string[] = [];
	for (const [index, { schema, name, rows }] of expected.entries()) {
		const key = JSON.stringify([schema, name]);
		const kind = kinds.get(key);
		const inserted = loaded.of(schema, name);
		let actual: number | undefined;
		if (ofExtensions.has(key)) actual = inserted ?? 0;
		else if (trustLoaded && inserted !== undefined && kind !== undefined) actual = inserted;
		else if (kind !== undefined) actual = await countRows(client, schema, name, kind, rows);
		if (actual === undefined) wrong.push(`${schema}.${name} is missing`);
		else if (actual !== rows) wrong.push(`${schema}.${name} has ${actual} rows instead of ${rows}`);
		else if (inserted !== undefined && inserted !== rows)
			wrong.push(`${inserted} rows were loaded into ${schema}.${name} instead of ${rows}`);
		else found.push({ schema, name, rows: actual });
		onTable?.(index + 1);
	}
	if (wrong.length > 0) {
		const listed = wrong.slice(0, 5).join('; ') + (wrong.length > 5 ? `; and ${wrong.length - 5} more` : '');
		throw new LifeboatError(
			'ROW_COUNT_MISMATCH',
			`The restore into database ${database} did not bring the rows that the backup's manifest lists: ${listed}. Nothing was changed: the database is as it was before`,
			{ hint: 'Do not trust this copy. Restore from another copy of this backup, or from an older one' },
		);
	}
	return found;
}

async function countRows(
	client: Client,
	schema: string,
	name: string,
	kind: string,
	expected: number,
): Promise<number> {
	// Rows of partitions and of tables that inherit are counted there, unless the dump took them through the parent.
	const only = kind === 'p' && expected > 0 ? '' : 'ONLY ';
	const { rows } = await client.query<{ count: string }>(
		`SELECT pg_catalog.count(*)::text AS count FROM ${only}${quoteQualified(schema, name)}`,
	);
	return Number(rows[0]!.count);
}

async function tableKinds(client: Client): Promise<Map<string, string>> {
	const { rows } = await client.query<{ schema: string; name: string; kind: string }>(
		`SELECT n.nspname::text AS schema, c.relname::text AS name, c.relkind::text AS kind FROM pg_catalog.pg_class c
		JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p', 'f')`,
	);
	return new Map(rows.map(({ schema, name, kind }) => [JSON.stringify([schema, name]), kind]));
}

async function extensionTables(client: Client): Promise<Set<string>> {
	const { rows } = await client.query<{ schema: string; name: string }>(
		`SELECT n.nspname::text AS schema, c.relname::text AS name
		FROM pg_catalog.pg_extension e CROSS JOIN pg_catalog.unnest(e.extconfig) AS x (oid)
		JOIN pg_catalog.pg_class c ON c.oid = x.oid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace`,
	);
	return new Set(rows.map(({ schema, name }) => JSON.stringify([schema, name])));
}
