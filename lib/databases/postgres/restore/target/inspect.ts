import type { Client } from 'pg';

/** Something in a database that `CREATE DATABASE` alone would not have put there. */
export interface DatabaseObject {
	/** As PostgreSQL calls it: `table`, `extension`, `large objects`. */
	readonly kind: string;
	/** Its name, with its schema and quoted where needed; for large objects their number. */
	readonly name: string;
	/** The schema it lies in, if objects of its kind lie in one. */
	readonly schema: string | undefined;
}

/** What is in a database. */
export interface DatabaseContents {
	readonly database: string;
	/** Such as `17.10`. */
	readonly serverVersion: string;
	/** Nothing but what `CREATE DATABASE` puts there. */
	readonly empty: boolean;
	readonly objects: readonly DatabaseObject[];
}

/** Objects with a lower OID were made by initdb (`FirstNormalObjectId` in `access/transam.h`). */
const FIRST_NORMAL_OID = 16_384;

const notTemporary = `NOT IN (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname ~ '^pg_(toast|temp_|toast_temp_)')`;

/** The catalogs whose rows are objects of their own, and which of those rows. */
const catalogs: readonly { catalog: string; where?: string }[] = [
	{ catalog: 'pg_event_trigger' },
	{ catalog: 'pg_publication' },
	{ catalog: 'pg_extension', where: "x.extname <> 'plpgsql'" },
	{
		catalog: 'pg_namespace',
		where: "x.nspname <> 'public' AND x.nspname !~ '^pg_(toast|temp_|toast_temp_)'",
	},
	{ catalog: 'pg_foreign_server' },
	{ catalog: 'pg_foreign_data_wrapper' },
	{ catalog: 'pg_class', where: `x.relkind IN ('r', 'p', 'v', 'm', 'f') AND x.relnamespace ${notTemporary}` },
	{
		catalog: 'pg_class',
		where: `x.relkind = 'S' AND x.relnamespace ${notTemporary} AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend s
			WHERE s.classid = 'pg_catalog.pg_class'::regclass AND s.objid = x.oid AND s.deptype IN ('a', 'i')
			AND s.refclassid = 'pg_catalog.pg_class'::regclass)`,
	},
	{
		catalog: 'pg_proc',
		// A range type brings its own constructor functions, which go with it.
		where: `x.pronamespace ${notTemporary} AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend s
			WHERE s.classid = 'pg_catalog.pg_proc'::regclass AND s.objid = x.oid AND s.deptype = 'i')`,
	},
	{
		catalog: 'pg_type',
		// Neither arrays, nor row types of tables, nor the multirange that a range brings.
		where: `x.typnamespace ${notTemporary} AND x.typtype <> 'm'
			AND NOT EXISTS (SELECT FROM pg_catalog.pg_type e WHERE e.typarray = x.oid)
			AND (x.typrelid = 0 OR EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = x.typrelid AND c.relkind = 'c'))`,
	},
	{ catalog: 'pg_operator' },
	{ catalog: 'pg_opclass' },
	{ catalog: 'pg_opfamily' },
	{ catalog: 'pg_collation' },
	{ catalog: 'pg_conversion' },
	{ catalog: 'pg_statistic_ext' },
	{ catalog: 'pg_ts_config' },
	{ catalog: 'pg_ts_dict' },
	{ catalog: 'pg_ts_parser' },
	{ catalog: 'pg_ts_template' },
	{ catalog: 'pg_cast' },
	{ catalog: 'pg_transform' },
	{ catalog: 'pg_language' },
	{ catalog: 'pg_am' },
];

const objectsQuery = `
SELECT i.type AS kind, i.identity AS name, i.schema AS schema FROM (
${catalogs
	.map(
		(
			{ catalog, where = 'true' },
			at,
		) => `SELECT ${at} AS at, x.oid, 'pg_catalog.${catalog}'::regclass::oid AS catalog
	FROM pg_catalog.${catalog} x WHERE x.oid >= ${FIRST_NORMAL_OID} AND ${where}`,
	)
	.join('\nUNION ALL\n')}
) o, pg_catalog.pg_identify_object(o.catalog, o.oid, 0) i
WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
	WHERE d.classid = o.catalog AND d.objid = o.oid AND d.deptype = 'e')
ORDER BY o.at, 2`;

// Read apart: not every column is readable by everybody, and neither has an identity that a DROP takes.
const othersQuery = `
SELECT 'subscription' AS kind, pg_catalog.quote_ident(s.subname) AS name, NULL::text AS schema
FROM pg_catalog.pg_subscription s
WHERE s.subdbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
UNION ALL
SELECT 'large objects', pg_catalog.count(*)::text, NULL FROM pg_catalog.pg_largeobject_metadata HAVING pg_catalog.count(*) > 0
UNION ALL
SELECT 'default privileges', pg_catalog.pg_get_userbyid(a.defaclrole)::text, n.nspname::text
FROM pg_catalog.pg_default_acl a LEFT JOIN pg_catalog.pg_namespace n ON n.oid = a.defaclnamespace`;

/** Looks into the database of a session, within its transaction if it is in one. */
export async function inspectContents(client: Client): Promise<DatabaseContents> {
	const about = await client.query<{ database: string; version: string }>(
		`SELECT pg_catalog.current_database()::text AS database, pg_catalog.current_setting('server_version') AS version`,
	);
	const others = await client.query<DatabaseObject>(othersQuery);
	const objects = await client.query<DatabaseObject>(objectsQuery);
	const all = [...others.rows, ...objects.rows].map(({ kind, name, schema }) => ({
		kind,
		name,
		schema: schema ?? undefined,
	}));
	const { database, version } = about.rows[0]!;
	return { database, serverVersion: version.split(' ')[0]!, empty: all.length === 0, objects: all };
}

/** A few words on what a database holds, such as `12 tables (public.orders, public.items, …) and 1 extension (citext)`. */
export function summarizeContents(objects: readonly DatabaseObject[]): string {
	const kinds = new Map<string, string[]>();
	for (const { kind, name } of objects) kinds.set(kind, [...(kinds.get(kind) ?? []), name]);
	// Tables say most.
	const listedKinds = [...kinds].toSorted(([a], [b]) => Number(b === 'table') - Number(a === 'table'));
	const parts = listedKinds.slice(0, 4).map(([kind, names]) => {
		if (kind === 'large objects') return `${names[0]} large objects`;
		const listed = names.slice(0, 3).join(', ') + (names.length > 3 ? ', …' : '');
		return `${names.length} × ${kind} (${listed})`;
	});
	return parts.join('; ') + (kinds.size > 4 ? '; …' : '');
}
