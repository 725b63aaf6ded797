import type { Client } from 'pg';

import { LifeboatError } from '../../../../errors';

import { quoteIdentifier, quoteQualified } from '../../identifiers';

import { relationKey } from './objects';
import type { QualifiedName } from '../sql/statement';

/** A table of the target that rows are loaded into. */
interface ExistingTable extends QualifiedName {
	oid: string;
	kind: string;
	primaryKey: string[] | null;
	isEmpty?: boolean;
	columns: { name: string; generated: boolean; required: boolean }[];
}

export interface LoadIntoTables {
	tables: readonly { table: QualifiedName; columns: readonly string[] | undefined }[];
	/** What becomes of rows that are there: an error, removed, or kept. */
	rows: 'stop' | 'clean' | 'merge';
	/** Whether the tables' triggers fire for each row that is loaded. */
	triggers: 'off' | 'fire';
}

const unchanged = 'Nothing was changed';

/**
 * Tables that rows are loaded into although they were there before. What stands in the way of loading them in any order is put
 * away first, and put back afterwards, within the transaction: foreign keys, which the server then checks for every row, and triggers.
 */
export class ExistingTables {
	private readonly undo: string[] = [];

	private readonly byKey = new Map<string, ExistingTable>();

	constructor(private readonly client: Client) {}

	/** Those columns that make a row one that is there already. Undefined for a table that was not there. */
	primaryKeyOf(table: QualifiedName): readonly string[] | undefined {
		return this.byKey.get(relationKey(table))?.primaryKey ?? undefined;
	}

	has(table: QualifiedName): boolean {
		return this.byKey.has(relationKey(table));
	}

	/**
	 * Looks at the tables, and prepares them.
	 *
	 * @throws LifeboatError `COLUMNS_DIFFER`, `NO_PRIMARY_KEY`, `NOT_EMPTY`, or what the server says.
	 */
	async prepare({ tables, rows, triggers }: LoadIntoTables): Promise<void> {
		for (const { table } of tables) {
			const found = await this.look(table);
			if (found) this.byKey.set(relationKey(table), found);
		}
		const problems = tables.flatMap(({ table, columns }) => {
			const found = this.byKey.get(relationKey(table));
			return found && columns ? columnProblems(found, columns) : [];
		});
		if (problems.length > 0) {
			throw new LifeboatError(
				'COLUMNS_DIFFER',
				`The rows of the backup don't fit the tables of the target: ${listed(problems)}. ${unchanged}`,
				{ hint: 'Change the tables so that they have these columns, or restore tables and rows elsewhere' },
			);
		}
		const found = [...this.byKey.values()];
		if (rows === 'merge') requireKeys(found);
		if (rows === 'stop') await this.requireEmpty(found);
		await this.putForeignKeysAway(found, rows === 'clean');
		if (triggers === 'off') await this.putTriggersAway(found);
		if (rows === 'clean') {
			const names = found.filter(({ kind }) => kind === 'r').map(qualify);
			if (names.length > 0) await this.client.query(`TRUNCATE ONLY ${names.join(', ')}`);
		}
	}

	/** Puts back what was put away. @throws what the server says: a foreign key that the rows break, say. */
	async finish(): Promise<void> {
		for (const sql of this.undo.toReversed()) {
			await this.client.query(sql).catch((error: unknown) => {
				const key = /^ALTER TABLE (.*?) ADD CONSTRAINT (.*?) FOREIGN KEY/.exec(sql);
				if (!key) throw error;
				throw new LifeboatError(
					'FOREIGN_KEY_BROKEN',
					`The restored rows break the foreign key ${key[2]} of ${key[1]}: ${(error as Error).message}${detailOf(error)}. ${unchanged}`,
					{ hint: 'Restore the rows of the table that it refers to as well', cause: error },
				);
			});
		}
	}

	private async look({ schema, name }: QualifiedName): Promise<ExistingTable | undefined> {
		const text = schema === undefined ? quoteIdentifier(name) : quoteQualified(schema, name);
		const { rows } = await this.client.query<{
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
		const columns = await this.client.query<{ name: string; generated: string; required: string }>(
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

	private async requireEmpty(tables: readonly ExistingTable[]): Promise<void> {
		const filled: string[] = [];
		for (const table of tables) {
			if (table.kind === 'p') continue;
			const { rowCount } = await this.client.query(`SELECT FROM ONLY ${qualify(table)} LIMIT 1`);
			if (rowCount) filled.push(qualify(table));
		}
		if (filled.length === 0) return;
		throw new LifeboatError('NOT_EMPTY', `There are rows already in ${listed(filled)}. ${unchanged}`, {
			hint: 'Choose to remove them first, or to merge: rows that are there are then kept',
		});
	}

	private async putForeignKeysAway(tables: readonly ExistingTable[], alsoReferring: boolean): Promise<void> {
		const { rows } = await this.client.query<{
			table: string;
			name: string;
			definition: string;
			comment: string | null;
		}>(
			`WITH RECURSIVE up AS (
				SELECT * FROM pg_catalog.pg_constraint
				WHERE contype = 'f' AND (conrelid = ANY ($1::oid[]) OR ($2 AND confrelid = ANY ($1::oid[])))
				UNION SELECT p.* FROM pg_catalog.pg_constraint p JOIN up ON p.oid = up.conparentid
			)
			SELECT DISTINCT pg_catalog.format('%I.%I', n.nspname, c.relname) AS table, pg_catalog.quote_ident(up.conname) AS name,
				pg_catalog.pg_get_constraintdef(up.oid) AS definition, pg_catalog.obj_description(up.oid, 'pg_constraint') AS comment
			FROM up JOIN pg_catalog.pg_class c ON c.oid = up.conrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
			WHERE up.conparentid = 0 ORDER BY 1, 2`,
			[tables.map(({ oid }) => oid), alsoReferring],
		);
		for (const { table, name, definition, comment } of rows) {
			await this.client.query(`ALTER TABLE ${table} DROP CONSTRAINT ${name}`);
			if (comment !== null)
				this.undo.push(`COMMENT ON CONSTRAINT ${name} ON ${table} IS ${this.client.escapeLiteral(comment)}`);
			this.undo.push(`ALTER TABLE ${table} ADD CONSTRAINT ${name} ${definition}`);
		}
	}

	private async putTriggersAway(tables: readonly ExistingTable[]): Promise<void> {
		const { rows } = await this.client.query<{ table: string; name: string; enabled: string }>(
			`SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) AS table, pg_catalog.quote_ident(t.tgname) AS name,
				CASE t.tgenabled WHEN 'R' THEN 'ENABLE REPLICA' WHEN 'A' THEN 'ENABLE ALWAYS' ELSE 'ENABLE' END AS enabled
			FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid
			JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
			WHERE t.tgrelid = ANY ($1::oid[]) AND NOT t.tgisinternal AND t.tgenabled <> 'D' ORDER BY 1, 2`,
			[tables.map(({ oid }) => oid)],
		);
		for (const { table, name, enabled } of rows) {
			await this.client.query(`ALTER TABLE ONLY ${table} DISABLE TRIGGER ${name}`);
			this.undo.push(`ALTER TABLE ONLY ${table} ${enabled} TRIGGER ${name}`);
		}
	}
}

function columnProblems(table: ExistingTable, columns: readonly string[]): string[] {
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

function requireKeys(tables: readonly ExistingTable[]): void {
	const without = tables.filter(({ primaryKey }) => primaryKey === null).map(qualify);
	if (without.length === 0) return;
	throw new LifeboatError(
		'NO_PRIMARY_KEY',
		`Rows can't be merged into tables without a primary key, which would tell those that are there: ${listed(without)}. ${unchanged}`,
		{
			hint: 'Leave these tables out, give them a primary key, or restore their rows with the present ones removed first',
		},
	);
}

function qualify({ schema, name }: QualifiedName): string {
	return quoteQualified(schema ?? 'public', name);
}

function listed(texts: readonly string[]): string {
	return texts.slice(0, 5).join('; ') + (texts.length > 5 ? `; and ${texts.length - 5} more` : '');
}

function detailOf(error: unknown): string {
	const detail = (error as { detail?: string }).detail;
	return detail === undefined ? '' : ` (${detail.replace(/\.$/, '')})`;
}
