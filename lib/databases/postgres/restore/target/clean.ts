import type { Client } from 'pg';

import { codeOf, LifeboatError } from '../../../../errors';

import { quoteIdentifier, unquoteIdentifier } from '../../identifiers';

import { inspectContents, summarizeContents, type DatabaseObject } from './inspect';

/** How the kinds that `pg_identify_object` names are called in DROP, where that differs. */
const dropWords: Record<string, string> = {
	'composite type': 'TYPE',
	aggregate: 'ROUTINE',
	'statistics object': 'STATISTICS',
	'foreign-data wrapper': 'FOREIGN DATA WRAPPER',
};

/** Kinds that stand in no schema and go first: event triggers would fire, and extensions and schemas take the rest along. */
const first = ['event trigger', 'publication', 'extension', 'schema'];
const skipped = new Set(['subscription', 'large objects', 'default privileges', 'transform']);

const MISSING_PERMISSION = '42501';

/**
 * Removes everything that `CREATE DATABASE` did not put there, and gives the schema public its first owner, privileges
 * and comment again. To be called in a transaction, which may still be rolled back.
 *
 * @returns warnings. @throws LifeboatError `CLEAN_REFUSED`, and what the server says.
 */
export async function cleanDatabase(client: Client): Promise<string[]> {
	const { objects, database } = await inspectContents(client);
	const subscription = objects.find(({ kind }) => kind === 'subscription');
	if (subscription) {
		throw new LifeboatError(
			'CLEAN_REFUSED',
			`Database ${database} can't be emptied while it has the subscription ${subscription.name}`,
			{
				hint: `Dropping it would leave its replication slot on the publisher, where it holds back disk space. Run DROP SUBSCRIPTION ${subscription.name} first, then restore again`,
			},
		);
	}
	for (const kind of first)
		await drop(
			client,
			objects.filter((object) => object.kind === kind),
		);
	const dropped = new Set(
		objects.filter(({ kind }) => kind === 'schema').map(({ name }) => unquoteIdentifier(name)),
	);
	await drop(
		client,
		objects.filter(
			({ kind, schema }) =>
				!first.includes(kind) &&
				!skipped.has(kind) &&
				(schema === undefined || !dropped.has(unquoteIdentifier(schema))),
		),
	);
	await dropTransforms(client);
	await client.query(
		'SELECT pg_catalog.count(pg_catalog.lo_unlink(oid)) FROM pg_catalog.pg_largeobject_metadata',
	);
	await resetDefaultPrivileges(client);
	const left = await inspectContents(client);
	if (!left.empty) {
		throw new LifeboatError(
			'CLEAN_REFUSED',
			`Database ${database} could not be emptied: ${summarizeContents(left.objects)} remain`,
			{ hint: 'Remove them by hand, or restore into a new database' },
		);
	}
	return await resetPublicSchema(client);
}

async function drop(client: Client, objects: readonly DatabaseObject[]): Promise<void> {
	const statements = objects.map(({ kind, name }) => {
		const word = dropWords[kind] ?? kind.toUpperCase();
		// An earlier drop may have taken it along.
		return `DROP ${word} IF EXISTS ${kind === 'cast' ? name.replace(/^\(?(.*?)\)?$/, '($1)') : name} CASCADE`;
	});
	for (let from = 0; from < statements.length; from += 100) {
		await client.query(statements.slice(from, from + 100).join(';\n'));
	}
}

async function dropTransforms(client: Client): Promise<void> {
	const { rows } = await client.query<{ sql: string }>(
		`SELECT pg_catalog.format('DROP TRANSFORM IF EXISTS FOR %s LANGUAGE %I CASCADE', t.trftype::regtype, l.lanname) AS sql
		FROM pg_catalog.pg_transform t JOIN pg_catalog.pg_language l ON l.oid = t.trflang WHERE t.oid >= 16384`,
	);
	for (const { sql } of rows) await client.query(sql);
}

/** Undoes ALTER DEFAULT PRIVILEGES: each entry vanishes once it says what holds without it. */
async function resetDefaultPrivileges(client: Client): Promise<void> {
	const { rows } = await client.query<{ sql: string }>(`
		WITH entry AS (
			SELECT a.*, pg_catalog.format('ALTER DEFAULT PRIVILEGES FOR ROLE %I%s ', pg_catalog.pg_get_userbyid(a.defaclrole),
				CASE WHEN a.defaclnamespace <> 0 THEN pg_catalog.format(' IN SCHEMA %I', n.nspname) END) AS start,
				CASE a.defaclobjtype WHEN 'r' THEN 'TABLES' WHEN 'S' THEN 'SEQUENCES' WHEN 'f' THEN 'FUNCTIONS'
					WHEN 'T' THEN 'TYPES' WHEN 'n' THEN 'SCHEMAS' WHEN 'L' THEN 'LARGE OBJECTS' END AS kinds
			FROM pg_catalog.pg_default_acl a LEFT JOIN pg_catalog.pg_namespace n ON n.oid = a.defaclnamespace
		)
		SELECT sql FROM (
			SELECT e.oid, 1 AS step, e.start || pg_catalog.format('REVOKE ALL ON %s FROM %s', e.kinds,
				CASE WHEN x.grantee = 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(x.grantee)) END) AS sql
			FROM entry e, pg_catalog.aclexplode(e.defaclacl) x
			UNION
			SELECT e.oid, 2, e.start || pg_catalog.format('GRANT ALL ON %s TO %I', e.kinds, pg_catalog.pg_get_userbyid(e.defaclrole))
			FROM entry e WHERE e.defaclnamespace = 0
			UNION
			SELECT e.oid, 3, e.start || pg_catalog.format('GRANT %s ON %s TO PUBLIC',
				CASE e.defaclobjtype WHEN 'f' THEN 'EXECUTE' ELSE 'USAGE' END, e.kinds)
			FROM entry e WHERE e.defaclnamespace = 0 AND e.defaclobjtype IN ('f', 'T')
		) s ORDER BY oid, step`);
	for (const { sql } of rows) await client.query(sql);
}

/** What initdb gives the schema public. Since version 15 it belongs to the database's owner and only that one may create. */
async function resetPublicSchema(client: Client): Promise<string[]> {
	const { rows } = await client.query<{ owner: string; version: string; usual: string }>(`
		WITH d AS (
			SELECT CASE WHEN v >= 150000 THEN 'pg_database_owner' ELSE pg_catalog.pg_get_userbyid(10) END AS owner, v
			FROM pg_catalog.current_setting('server_version_num') s, LATERAL (SELECT s::int AS v) x
		)
		SELECT owner, v::text AS version, pg_catalog.concat_ws(',',
			pg_catalog.format('=%s/%s', CASE WHEN v >= 150000 THEN 'U' ELSE 'UC' END, pg_catalog.quote_ident(owner)),
			pg_catalog.format('%1$s=UC/%1$s', pg_catalog.quote_ident(owner))) AS usual FROM d`);
	const { owner, version, usual } = rows[0]!;
	const { rows: found } = await client.query<{ owner: string; acl: string | null; comment: string | null }>(`
		SELECT pg_catalog.pg_get_userbyid(n.nspowner) AS owner,
			(SELECT pg_catalog.string_agg(a::text, ',' ORDER BY a::text COLLATE "C") FROM pg_catalog.unnest(n.nspacl) a) AS acl,
			pg_catalog.obj_description(n.oid, 'pg_namespace') AS comment
		FROM pg_catalog.pg_namespace n WHERE n.nspname = 'public'`);
	const present = found[0];
	if (present?.owner === owner && present.acl === usual && present.comment === 'standard public schema')
		return [];
	const { rows: grantees } = await client.query<{ name: string }>(`
		SELECT DISTINCT CASE WHEN x.grantee = 0 THEN 'PUBLIC'
			ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(x.grantee)) END AS name
		FROM pg_catalog.pg_namespace n, pg_catalog.aclexplode(n.nspacl) x WHERE n.nspname = 'public'`);
	await client.query('SAVEPOINT lifeboat_public');
	try {
		if (!present) await client.query('CREATE SCHEMA public');
		const ownerName = quoteIdentifier(owner);
		await client.query(`ALTER SCHEMA public OWNER TO ${ownerName}`);
		for (const name of new Set([...grantees.map((grantee) => grantee.name), 'PUBLIC', ownerName])) {
			await client.query(`REVOKE ALL ON SCHEMA public FROM ${name} CASCADE`);
		}
		await client.query(`GRANT ALL ON SCHEMA public TO ${ownerName}`);
		await client.query(`GRANT ${Number(version) >= 150_000 ? 'USAGE' : 'ALL'} ON SCHEMA public TO PUBLIC`);
		await client.query(`COMMENT ON SCHEMA public IS 'standard public schema'`);
		await client.query('RELEASE SAVEPOINT lifeboat_public');
		return [];
	} catch (error) {
		if (codeOf(error) !== MISSING_PERMISSION) throw error;
		await client.query('ROLLBACK TO SAVEPOINT lifeboat_public');
		return [
			'The owner, privileges or comment of the schema public differ from what a new database has, and this user may not reset them: they were left as they were',
		];
	}
}
