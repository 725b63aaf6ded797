import type { Client } from 'pg';

import { codeOf, LifeboatError, messageOf } from '../../../../errors';
import { quoteQualified } from '../../identifiers';

import type { ScriptObject } from './objects';

const DEPENDENT_OBJECTS = '2BP01';

const routineKinds = /^(?:FUNCTION|PROCEDURE|AGGREGATE)$/;
const typeKinds = /^(?:TYPE|DOMAIN)$/;

/** Drops the parts of relations by which they depend on others that come behind them: keys, policies, triggers and rules. */
const dependentParts = `
	WITH r AS (SELECT pg_catalog.to_regclass(x)::oid AS oid FROM pg_catalog.unnest($1::text[]) AS x)
	SELECT pg_catalog.format('ALTER TABLE %s DROP CONSTRAINT IF EXISTS %I', k.conrelid::pg_catalog.regclass, k.conname) AS sql
		FROM r JOIN pg_catalog.pg_constraint k ON k.conrelid = r.oid WHERE k.contype = 'f' AND k.conparentid = 0
	UNION ALL SELECT pg_catalog.format('DROP POLICY IF EXISTS %I ON %s', p.polname, r.oid::pg_catalog.regclass)
		FROM r JOIN pg_catalog.pg_policy p ON p.polrelid = r.oid
	UNION ALL SELECT pg_catalog.format('DROP TRIGGER IF EXISTS %I ON %s', t.tgname, r.oid::pg_catalog.regclass)
		FROM r JOIN pg_catalog.pg_trigger t ON t.tgrelid = r.oid WHERE NOT t.tgisinternal AND t.tgparentid = 0
	UNION ALL SELECT pg_catalog.format('DROP RULE IF EXISTS %I ON %s', w.rulename, r.oid::pg_catalog.regclass)
		FROM r JOIN pg_catalog.pg_rewrite w ON w.ev_class = r.oid WHERE w.rulename <> '_RETURN'`;

/**
 * Drops what the target has of the given objects, and nothing besides: tables, views, sequences, functions and types.
 *
 * @param objects in the order of a dump. @param relations those of them that are relations of the target.
 * @throws LifeboatError `CLEAN_REFUSED` where anything else depends on them.
 */
export async function dropParts(
	client: Client,
	objects: readonly ScriptObject[],
	relations: readonly ScriptObject[],
): Promise<void> {
	const nameOf = ({ schema, tag }: ScriptObject) => quoteQualified(schema ?? 'public', tag);
	await requirePartitions(client, relations.map(nameOf));
	const drops = new Map(relations.map((each) => [each, `${each.desc} IF EXISTS ${nameOf(each)}`]));
	for (const object of objects) {
		const name = await routineOrType(client, object);
		if (name !== undefined) drops.set(object, name);
	}
	const { rows } = await client.query<{ sql: string }>(dependentParts, [relations.map(nameOf)]);
	try {
		// They stand behind the tables in a dump, and may go in a circle.
		for (const { sql } of rows) await client.query(sql);
		const isSequence = ({ desc }: ScriptObject) => desc === 'SEQUENCE';
		const backwards = objects.filter((each) => drops.has(each)).toReversed();
		// What depends on something stands behind it; a sequence goes with the table that owns it, or whose default uses it.
		const ordered = [...backwards.filter((each) => !isSequence(each)), ...backwards.filter(isSequence)];
		await dropAll(
			client,
			ordered.map((object) => drops.get(object)!),
		);
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

/**
 * Drops all of them. Here and there a dump has something before what it depends on, such as a view that groups by a primary key:
 * what can't be dropped yet is tried again once others are gone.
 */
async function dropAll(client: Client, names: readonly string[]): Promise<void> {
	let waiting = names;
	while (waiting.length > 0) {
		const refused: string[] = [];
		let refusal: unknown;
		for (const name of waiting) {
			await client.query('SAVEPOINT lifeboat_drop');
			try {
				await client.query(`DROP ${name}`);
			} catch (error) {
				if (codeOf(error) !== DEPENDENT_OBJECTS) throw error;
				await client.query('ROLLBACK TO SAVEPOINT lifeboat_drop');
				refused.push(name);
				refusal = error;
			}
			await client.query('RELEASE SAVEPOINT lifeboat_drop');
		}
		if (refused.length === waiting.length) throw refusal;
		waiting = refused;
	}
}

/** DROP takes the partitions of a table along without a word: those that the dump doesn't hold would be lost. */
async function requirePartitions(client: Client, names: readonly string[]): Promise<void> {
	const { rows } = await client.query<{ partition: string; of: string }>(
		`WITH dropped AS (SELECT pg_catalog.to_regclass(x)::oid AS oid FROM pg_catalog.unnest($1::text[]) AS x)
		SELECT c.oid::pg_catalog.regclass::text AS partition, i.inhparent::pg_catalog.regclass::text AS of
		FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
		WHERE c.relispartition AND c.relkind IN ('r', 'p', 'f') AND i.inhparent IN (SELECT oid FROM dropped)
			AND c.oid NOT IN (SELECT oid FROM dropped WHERE oid IS NOT NULL) ORDER BY 1 LIMIT 1`,
		[names],
	);
	const [other] = rows;
	if (!other) return;
	throw new LifeboatError(
		'CLEAN_REFUSED',
		`What is to be replaced can't be removed alone: table ${other.of} has the partition ${other.partition}, which is not restored with it. Nothing was changed`,
		{ hint: 'Detach or drop that partition first, restore it as well, or restore rows only' },
	);
}

/** How DROP calls a function or a type of the dump that the target has. */
async function routineOrType(
	client: Client,
	{ desc, schema, tag }: ScriptObject,
): Promise<string | undefined> {
	if (schema === undefined || schema === 'pg_catalog') return undefined;
	if (typeKinds.test(desc)) {
		// Not by to_regtype, which refuses a type that is only a shell.
		const { rowCount } = await client.query(
			'SELECT FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace WHERE n.nspname = $1 AND t.typname = $2',
			[schema, tag],
		);
		return rowCount ? `${desc} ${quoteQualified(schema, tag)}` : undefined;
	}
	if (!routineKinds.test(desc)) return undefined;
	// The dump names the types of the arguments as the server does, and nothing in quotes but those.
	const { rows } = await client.query<{ name: string }>(
		`SELECT pg_catalog.format('%s IF EXISTS %I.%I(%s)', CASE p.prokind WHEN 'a' THEN 'AGGREGATE' WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END,
			n.nspname, p.proname, CASE WHEN p.prokind = 'a' AND p.pronargs = 0 THEN '*' ELSE pg_catalog.pg_get_function_identity_arguments(p.oid) END) AS name
		FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
		WHERE n.nspname = $1 AND $2 = p.proname || '(' || CASE WHEN p.prokind = 'a' AND p.pronargs = 0 THEN '*' ELSE coalesce((
			SELECT pg_catalog.string_agg(pg_catalog.format_type(a.type, NULL), ', ' ORDER BY a.place)
			FROM pg_catalog.unnest(p.proargtypes::oid[]) WITH ORDINALITY AS a (type, place)), '') END || ')'`,
		[schema, tag],
	);
	return rows[0]?.name;
}
