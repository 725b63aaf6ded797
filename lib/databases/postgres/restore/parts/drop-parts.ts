import type { Client } from 'pg';

import { codeOf, LifeboatError, messageOf } from '../../../../errors';
import { quoteQualified } from '../../identifiers';

import type { ScriptObject } from './objects';

const DEPENDENT_OBJECTS = '2BP01';

/**
 * Drops tables, views and sequences, given in the order of a dump, and nothing besides.
 *
 * @throws LifeboatError `CLEAN_REFUSED` where anything else depends on them.
 */
export async function dropRelations(client: Client, relations: readonly ScriptObject[]): Promise<void> {
	const nameOf = ({ schema, tag }: ScriptObject) => quoteQualified(schema ?? 'public', tag);
	const { rows } = await client.query<{ sql: string }>(
		`SELECT pg_catalog.format('ALTER TABLE %s DROP CONSTRAINT IF EXISTS %I', k.conrelid::pg_catalog.regclass, k.conname) AS sql
		FROM pg_catalog.pg_constraint k WHERE k.contype = 'f' AND k.conparentid = 0
			AND k.conrelid = ANY (SELECT pg_catalog.to_regclass(x) FROM pg_catalog.unnest($1::text[]) AS x)`,
		[relations.map(nameOf)],
	);
	try {
		// The tables' own foreign keys may go in a circle.
		for (const { sql } of rows) await client.query(sql);
		const isSequence = ({ desc }: ScriptObject) => desc === 'SEQUENCE';
		const backwards = relations.toReversed();
		// What depends on something stands behind it; a sequence goes with the table that owns it, or whose default uses it.
		for (const relation of [
			...backwards.filter((each) => !isSequence(each)),
			...backwards.filter(isSequence),
		]) {
			await client.query(`DROP ${relation.desc} IF EXISTS ${nameOf(relation)}`);
		}
	} catch (error) {
		if (codeOf(error) !== DEPENDENT_OBJECTS) throw error;
		const { detail = '' } = error as { detail?: string };
		throw new LifeboatError(
			'CLEAN_REFUSED',
			`What is to be replaced can't be removed alone: ${messageOf(error)} (${detail.replaceAll('\n', '; ')}). Nothing was changed`,
			{
				hint: 'Restore what depends on it as well, drop that by hand first, or restore rows only',
				cause: error,
			},
		);
	}
}
