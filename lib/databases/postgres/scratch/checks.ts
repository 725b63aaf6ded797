import type { Client } from 'pg';

import type { RestoreReport } from '../../engine';
import type { RestoreCheck, RestoreTestRequest } from '../../scratch';
import { quoteQualified } from '../identifiers';

import type { DumpNeeds } from './needs';

const MOST_NAMED = 5;

/**
 * Compares a restored database with its manifest, and with itself.
 *
 * The rows were counted by the restore, which would have failed: here it is only told. @throws what the server says when it can't be asked.
 */
export async function compareRestored(
	client: Client,
	request: RestoreTestRequest,
	report: RestoreReport,
	needs: Pick<DumpNeeds, 'notValid'>,
): Promise<RestoreCheck[]> {
	// What the restore has set in a session that goes on.
	await client.query('DISCARD ALL');
	await client.query('SET search_path = pg_catalog');
	const checks = [
		rowsCheck(request, report),
		await constraintsCheck(client, needs),
		await indexCheck(client),
	];
	const { sequences } = request.manifest;
	if (sequences) checks.push(await sequencesCheck(client, sequences));
	return checks;
}

function rowsCheck({ manifest }: RestoreTestRequest, { tables }: RestoreReport): RestoreCheck {
	const rows = tables.reduce((sum, table) => sum + table.rows, 0);
	const detail = manifest.tables
		? `${tables.length} tables with ${rows} rows, as counted when they were dumped`
		: `${tables.length} tables with ${rows} rows; the manifest counts none to compare with`;
	return { name: 'Tables and rows', passed: true, detail };
}

async function constraintsCheck(
	client: Client,
	{ notValid }: Pick<DumpNeeds, 'notValid'>,
): Promise<RestoreCheck> {
	const { rows } = await client.query<{ name: string; relation: string; valid: string }>(
		`SELECT c.conname::text AS name, c.conrelid::regclass::text AS relation, c.convalidated::text AS valid
		FROM pg_catalog.pg_constraint c JOIN pg_catalog.pg_namespace n ON n.oid = c.connamespace
		WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'`,
	);
	const wrong = rows.filter(({ name, valid }) => valid !== 'true' && !notValid.has(name));
	return {
		name: 'Constraints',
		passed: wrong.length === 0,
		detail:
			wrong.length === 0
				? `${rows.length} constraints, valid as far as they were when they were dumped`
				: `not valid: ${listed(wrong.map(({ name, relation }) => `${name} on ${relation}`))}`,
	};
}

async function indexCheck(client: Client): Promise<RestoreCheck> {
	const { rows } = await client.query<{ name: string; valid: string }>(
		`SELECT i.indexrelid::regclass::text AS name, (i.indisvalid AND i.indisready)::text AS valid
		FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
		JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND c.relkind = 'i'`,
	);
	const wrong = rows.filter(({ valid }) => valid !== 'true').map(({ name }) => name);
	return {
		name: 'Indexes',
		passed: wrong.length === 0,
		detail: wrong.length === 0 ? `${rows.length} indexes, all usable` : `not usable: ${listed(wrong)}`,
	};
}

async function sequencesCheck(
	client: Client,
	expected: NonNullable<RestoreTestRequest['manifest']['sequences']>,
): Promise<RestoreCheck> {
	const { rows: there } = await client.query<{ schema: string; name: string }>(
		`SELECT n.nspname::text AS schema, c.relname::text AS name
		FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'S'`,
	);
	const present = new Set(there.map(({ schema, name }) => JSON.stringify([schema, name])));
	const wrong: string[] = [];
	for (const { schema, name, lastValue, isCalled } of expected) {
		if (!present.has(JSON.stringify([schema, name]))) {
			wrong.push(`${schema}.${name} is missing`);
			continue;
		}
		const { rows } = await client.query<{ value: string; called: string }>(
			`SELECT last_value::text AS value, is_called::text AS called FROM ${quoteQualified(schema, name)}`,
		);
		const { value, called } = rows[0]!;
		if (value === lastValue && called === String(isCalled)) continue;
		wrong.push(`${schema}.${name} stands at ${value} instead of ${lastValue}`);
	}
	return {
		name: 'Sequences',
		passed: wrong.length === 0,
		detail: wrong.length === 0 ? `${expected.length} sequences stand where they stood` : listed(wrong),
	};
}

function listed(texts: readonly string[]): string {
	const more = texts.length > MOST_NAMED ? `; and ${texts.length - MOST_NAMED} more` : '';
	return texts.slice(0, MOST_NAMED).join('; ') + more;
}
