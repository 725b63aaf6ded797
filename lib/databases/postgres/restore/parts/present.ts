import type { Client } from 'pg';

import { quoteIdentifier } from '../../identifiers';

import type { SelectedParts } from './parts';
import { relationKey, type ScriptObjects } from './script-object';

/** The relations of the target, by their keys. */
export async function presentRelations(client: Client): Promise<string[]> {
	const { rows } = await client.query<{ schema: string; name: string }>(
		`SELECT n.nspname::text AS schema, c.relname::text AS name FROM pg_catalog.pg_class c
		JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')`,
	);
	return rows.map(relationKey);
}

/** As pg_restore's -n and -t don't: what is restored needs its schema. */
export async function makeSchemas(
	client: Client,
	dump: ScriptObjects,
	{ ids, support, schemas, supportSchemas }: SelectedParts,
): Promise<void> {
	const needed = [...schemas, ...supportSchemas].filter((schema) => schema !== 'pg_catalog');
	const dumped = new Set(
		dump.objects.flatMap(({ id, desc, tag }) =>
			desc === 'SCHEMA' && (ids.has(id) || support.has(id)) ? [tag] : [],
		),
	);
	for (const schema of needed) {
		if (!dumped.has(schema)) await client.query(`CREATE SCHEMA IF NOT EXISTS ${quoteIdentifier(schema)}`);
	}
}
