import type { Client } from 'pg';

import { quoteIdentifier, unquoteIdentifier } from './identifiers';

/** Settings whose value is a list of names, each quoted for itself (`GUC_LIST_QUOTE` in PostgreSQL). */
const lists = new Set([
	'search_path',
	'temp_tablespaces',
	'local_preload_libraries',
	'session_preload_libraries',
	'shared_preload_libraries',
	'unix_socket_directories',
]);

/**
 * Begins the comments of a plain dump that hold the properties of the database as statements: psql passes them over, as a script of
 * pg_dump says nothing of the database it is loaded into.
 */
export const PROPERTY_COMMENT = 'Database property: ';

/** What a database has outside its tables, as statements that give it to one. */
export interface DatabaseProperties {
	/** Undefined where it belongs to the server's first superuser. */
	owner: string | undefined;
	comment: string | undefined;
	/** Connection limit, whether it is a template, settings of ALTER DATABASE and ALTER ROLE ... IN DATABASE, security labels. */
	settings: string[];
	/** Empty where the defaults hold. */
	privileges: string[];
}

interface DatabaseRow {
	oid: string;
	owner: string;
	isFirstSuperuser: string;
	connectionLimit: string;
	comment: string | null;
	isTemplate: string;
	hasPrivileges: string;
}

/**
 * The properties of a database, as statements about another one. Errors of the queries pass unchanged.
 *
 * @param from the one that the session is in unless given. @param to the same unless given.
 */
export async function readDatabaseProperties(
	client: Client,
	from?: string,
	to?: string,
): Promise<DatabaseProperties> {
	const { rows } = await client.query<DatabaseRow & { name: string }>(
		`SELECT d.oid, d.datname AS name, pg_catalog.pg_get_userbyid(d.datdba) AS owner, (d.datdba = 10)::text AS "isFirstSuperuser",
			d.datconnlimit AS "connectionLimit", d.datistemplate::text AS "isTemplate", (d.datacl IS NOT NULL)::text AS "hasPrivileges",
			pg_catalog.shobj_description(d.oid, 'pg_database') AS comment
		FROM pg_catalog.pg_database d WHERE d.datname = coalesce($1, pg_catalog.current_database())`,
		[from ?? null],
	);
	const row = rows[0]!;
	const target = quoteIdentifier(to ?? row.name);
	const limit = Number(row.connectionLimit);
	return {
		owner:
			row.isFirstSuperuser === 'true'
				? undefined
				: `ALTER DATABASE ${target} OWNER TO ${quoteIdentifier(row.owner)}`,
		comment: row.comment === null ? undefined : `COMMENT ON DATABASE ${target} IS ${literal(row.comment)}`,
		settings: [
			...(limit === -1 ? [] : [`ALTER DATABASE ${target} CONNECTION LIMIT ${limit}`]),
			...(row.isTemplate === 'true' ? [`ALTER DATABASE ${target} IS_TEMPLATE true`] : []),
			...(await labelStatements(client, row.oid, target)),
			...(await settingStatements(client, row.oid, target)),
		],
		// Without a list the defaults hold, which a new database has already.
		privileges: row.hasPrivileges === 'true' ? await privilegeStatements(client, row, target) : [],
	};
}

async function labelStatements(client: Client, oid: string, target: string): Promise<string[]> {
	const { rows } = await client.query<{ provider: string; label: string }>(
		`SELECT provider, label FROM pg_catalog.pg_shseclabel
		WHERE classoid = 'pg_catalog.pg_database'::pg_catalog.regclass AND objoid = $1 ORDER BY 1`,
		[oid],
	);
	return rows.map(
		({ provider, label }) =>
			`SECURITY LABEL FOR ${quoteIdentifier(provider)} ON DATABASE ${target} IS ${literal(label)}`,
	);
}

async function settingStatements(client: Client, oid: string, target: string): Promise<string[]> {
	const { rows } = await client.query<{ role: string | null; setting: string }>(
		`SELECT r.rolname::text AS role, pg_catalog.unnest(s.setconfig) AS setting
		FROM pg_catalog.pg_db_role_setting s LEFT JOIN pg_catalog.pg_roles r ON r.oid = s.setrole WHERE s.setdatabase = $1`,
		[oid],
	);
	return rows.map(({ role, setting }) => {
		const whose =
			role === null ? `DATABASE ${target}` : `ROLE ${quoteIdentifier(role)} IN DATABASE ${target}`;
		const at = setting.indexOf('=');
		const name = setting.slice(0, at);
		const parts = name.split('.').map(quoteIdentifier).join('.');
		return `ALTER ${whose} SET ${parts} TO ${settingValue(name, setting.slice(at + 1))}`;
	});
}

async function privilegeStatements(
	client: Client,
	{ oid, owner }: DatabaseRow,
	target: string,
): Promise<string[]> {
	const { rows } = await client.query<{ grantee: string; privilege: string; grantable: string }>(
		`SELECT CASE WHEN x.grantee = 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(x.grantee)) END AS grantee,
			x.privilege_type AS privilege, CASE WHEN x.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END AS grantable
		FROM pg_catalog.pg_database d CROSS JOIN pg_catalog.aclexplode(d.datacl) x WHERE d.oid = $1`,
		[oid],
	);
	return [
		`REVOKE ALL ON DATABASE ${target} FROM PUBLIC`,
		`REVOKE ALL ON DATABASE ${target} FROM ${quoteIdentifier(owner)}`,
		...rows.map(
			({ grantee, privilege, grantable }) =>
				`GRANT ${privilege} ON DATABASE ${target} TO ${grantee}${grantable}`,
		),
	];
}

function settingValue(name: string, value: string): string {
	if (!lists.has(name.toLowerCase())) return literal(value);
	const elements = value.match(/"(?:[^"]|"")*"|[^,\s]+/g) ?? [''];
	return elements.map((element) => literal(unquoteIdentifier(element))).join(', ');
}

/** Characters that a piece of a literal stands for: with all of them escaped, a line stays well below what a lexer looks at. */
const pieceLength = 2000;

/** A text as a literal without line breaks in it; a long one in several pieces on lines of their own, as SQL allows. */
function literal(text: string): string {
	const pieces = text.match(new RegExp(`.{1,${pieceLength}}`, 'gsu')) ?? [''];
	const escaped = pieces.map((piece) =>
		piece
			.replaceAll('\\', '\\\\')
			.replaceAll("'", "''")
			.replaceAll('\n', String.raw`\n`)
			.replaceAll('\r', String.raw`\r`),
	);
	const isPlain = escaped.length === 1 && !escaped[0]!.includes('\\');
	return `${isPlain ? '' : 'E'}${escaped.map((piece) => `'${piece}'`).join('\n')}`;
}
