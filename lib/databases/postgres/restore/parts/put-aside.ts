import type { Client } from 'pg';

import { LifeboatError } from '../../../../errors';

import type { ExistingTable } from './existing-table';

/** What stands in the way of loading rows in any order, away until they are loaded: foreign keys and triggers of tables. */
export class PutAside {
	private readonly undo: string[] = [];

	constructor(private readonly client: Client) {}

	/** @param alsoReferring those of other tables that refer to these, too. */
	async foreignKeys(tables: readonly ExistingTable[], alsoReferring: boolean): Promise<void> {
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

	async triggers(tables: readonly ExistingTable[]): Promise<void> {
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

	/** Puts back what was put away. @throws what the server says: a foreign key that the rows break, say. */
	async putBack(): Promise<void> {
		for (const sql of this.undo.toReversed()) {
			await this.client.query(sql).catch((error: unknown) => {
				const key = /^ALTER TABLE (.*?) ADD CONSTRAINT (.*?) FOREIGN KEY/.exec(sql);
				if (!key) throw error;
				throw new LifeboatError(
					'FOREIGN_KEY_BROKEN',
					`The restored rows break the foreign key ${key[2]} of ${key[1]}: ${(error as Error).message}${detailOf(error)}. Nothing was changed`,
					{ hint: 'Restore the rows of the table that it refers to as well', cause: error },
				);
			});
		}
	}
}

function detailOf(error: unknown): string {
	const detail = (error as { detail?: string }).detail;
	return detail === undefined ? '' : ` (${detail.replace(/\.$/, '')})`;
}
