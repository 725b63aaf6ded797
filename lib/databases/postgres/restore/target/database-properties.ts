import type { Client } from 'pg';

import { localeOptions, readDatabaseLocale } from '../../database-locale';
import { quoteIdentifier, quoteLiteral, unquoteIdentifier } from '../../identifiers';

import { majorOf } from './create';

/** Settings whose value is a list of names, each quoted for itself (`GUC_LIST_QUOTE` in PostgreSQL). */
const lists = new Set([
	'search_path',
	'temp_tablespaces',
	'local_preload_libraries',
	'session_preload_libraries',
	'shared_preload_libraries',
	'unix_socket_directories',
]);

interface DatabaseRow {
	owner: string;
	tablespace: string;
	connectionLimit: string;
	comment: string | null;
	isTemplate: string;
	hasPrivileges: string;
}

/** Whether there is a database of that name. */
export async function databaseExists(client: Client, name: string): Promise<boolean> {
	const { rows } = await client.query('SELECT FROM pg_catalog.pg_database WHERE datname = $1', [name]);
	return rows.length > 0;
}

/** The CREATE DATABASE that makes an empty database like another: encoding, locale, owner and tablespace. */
export async function createLikeStatement(client: Client, name: string, like: string): Promise<string> {
	const row = await readDatabase(client, like);
	const locale = localeOptions(await readDatabaseLocale(client, like), await majorOf(client));
	return `CREATE DATABASE ${quoteIdentifier(name)} TEMPLATE template0 OWNER ${quoteIdentifier(row.owner)} TABLESPACE ${quoteIdentifier(row.tablespace)} ${locale}`;
}

/**
 * The statements that give one database what another has outside its tables: connection limit, whether it is a template,
 * comment, security labels, privileges, and the settings of ALTER DATABASE and ALTER ROLE ... IN DATABASE.
 */
export async function propertyStatements(client: Client, from: string, to: string): Promise<string[]> {
	const row = await readDatabase(client, from);
	const target = quoteIdentifier(to);
	const statements = [`ALTER DATABASE ${target} CONNECTION LIMIT ${Number(row.connectionLimit)}`];
	if (row.isTemplate === 'true') statements.push(`ALTER DATABASE ${target} IS_TEMPLATE true`);
	if (row.comment !== null) statements.push(`COMMENT ON DATABASE ${target} IS ${quoteLiteral(row.comment)}`);
	const { rows: labels } = await client.query<{ provider: string; label: string }>(
		`SELECT l.provider, l.label FROM pg_catalog.pg_shseclabel l JOIN pg_catalog.pg_database d ON d.oid = l.objoid
		WHERE l.classoid = 'pg_catalog.pg_database'::pg_catalog.regclass AND d.datname = $1 ORDER BY 1`,
		[from],
	);
	for (const { provider, label } of labels)
		statements.push(
			`SECURITY LABEL FOR ${quoteIdentifier(provider)} ON DATABASE ${target} IS ${quoteLiteral(label)}`,
		);
	const { rows: settings } = await client.query<{ role: string | null; setting: string }>(
		`SELECT r.rolname::text AS role, x.setting
		FROM pg_catalog.pg_db_role_setting s JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase
		LEFT JOIN pg_catalog.pg_roles r ON r.oid = s.setrole
		CROSS JOIN pg_catalog.unnest(s.setconfig) AS x (setting) WHERE d.datname = $1`,
		[from],
	);
	for (const { role, setting } of settings) {
		const whose =
			role === null ? `DATABASE ${target}` : `ROLE ${quoteIdentifier(role)} IN DATABASE ${target}`;
		const at = setting.indexOf('=');
		const name = setting.slice(0, at);
		const parts = name.split('.').map(quoteIdentifier).join('.');
		statements.push(`ALTER ${whose} SET ${parts} TO ${settingValue(name, setting.slice(at + 1))}`);
	}
	const { rows: grants } = await client.query<{ grantee: string; privilege: string; grantable: string }>(
		`SELECT CASE WHEN x.grantee = 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(x.grantee)) END AS grantee,
			x.privilege_type AS privilege, CASE WHEN x.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END AS grantable
		FROM pg_catalog.pg_database d CROSS JOIN pg_catalog.aclexplode(d.datacl) x WHERE d.datname = $1`,
		[from],
	);
	// Without a list the defaults hold, which the new database has already.
	if (row.hasPrivileges === 'true') {
		statements.push(`REVOKE ALL ON DATABASE ${target} FROM PUBLIC, ${quoteIdentifier(row.owner)}`);
		for (const { grantee, privilege, grantable } of grants) {
			statements.push(`GRANT ${privilege} ON DATABASE ${target} TO ${grantee}${grantable}`);
		}
	}
	return statements;
}

function settingValue(name: string, value: string): string {
	if (!lists.has(name.toLowerCase())) return quoteLiteral(value);
	const elements = value.match(/"(?:[^"]|"")*"|[^,\s]+/g) ?? [''];
	return elements.map((element) => quoteLiteral(unquoteIdentifier(element))).join(', ');
}

async function readDatabase(client: Client, name: string): Promise<DatabaseRow> {
	const { rows } = await client.query<DatabaseRow>(
		`SELECT pg_catalog.pg_get_userbyid(d.datdba) AS owner, t.spcname AS tablespace, d.datconnlimit AS "connectionLimit",
			pg_catalog.shobj_description(d.oid, 'pg_database') AS comment, d.datistemplate::text AS "isTemplate",
			(d.datacl IS NOT NULL)::text AS "hasPrivileges"
		FROM pg_catalog.pg_database d JOIN pg_catalog.pg_tablespace t ON t.oid = d.dattablespace WHERE d.datname = $1`,
		[name],
	);
	return rows[0]!;
}
