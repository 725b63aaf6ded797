import type { Client } from 'pg';

import type { SequenceValue } from '../../../artifact/manifest';
import { LifeboatError } from '../../../errors';

import { quoteQualified } from '../identifiers';

import { unchanged } from './errors';

/**
 * Compares where each sequence stands with the manifest: one that stands too low would give out numbers that are taken.
 *
 * @returns how many were compared. @throws LifeboatError `SEQUENCE_MISMATCH` naming them.
 */
export async function verifySequences(
	client: Client,
	database: string,
	expected: readonly SequenceValue[],
): Promise<number> {
	const { rows: found } = await client.query<{ key: string }>(
		`SELECT pg_catalog.json_build_array(n.nspname, c.relname)::text AS key FROM pg_catalog.pg_class c
		JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'S'`,
	);
	const there = new Set(found.map(({ key }) => JSON.stringify(JSON.parse(key))));
	const wrong: string[] = [];
	for (const { schema, name, lastValue, isCalled } of expected) {
		if (!there.has(JSON.stringify([schema, name]))) {
			wrong.push(`${schema}.${name} is missing`);
			continue;
		}
		const { rows } = await client.query<{ value: string; called: string }>(
			`SELECT last_value::text AS value, is_called::text AS called FROM ${quoteQualified(schema, name)}`,
		);
		const { value, called } = rows[0]!;
		if (value !== lastValue || (called === 'true') !== isCalled)
			wrong.push(`${schema}.${name} stands at ${value} instead of ${lastValue}`);
	}
	if (wrong.length > 0) {
		throw new LifeboatError(
			'SEQUENCE_MISMATCH',
			`The restore into database ${database} did not set the sequences as the backup's manifest lists them: ${wrong.slice(0, 5).join('; ')}${wrong.length > 5 ? `; and ${wrong.length - 5} more` : ''}. ${unchanged}`,
			{ hint: 'Do not trust this copy. Restore from another copy of this backup, or from an older one' },
		);
	}
	return expected.length;
}
