import { quoteIdentifier, quoteLiteral } from '../identifiers';

import { labelsOf } from './comments';
import type { GlobalsSource, Query } from './query';

/** Tablespaces with their options, privileges, comments and labels. Their folders must be there when they are created. */
export async function* tablespaces({ query }: GlobalsSource): AsyncGenerator<string> {
	const found = await query<'oid' | 'name' | 'owner' | 'location' | 'comment' | 'options'>(
		`SELECT oid, spcname AS name, pg_catalog.pg_get_userbyid(spcowner) AS owner, pg_catalog.pg_tablespace_location(oid) AS location,
			pg_catalog.shobj_description(oid, 'pg_tablespace') AS comment,
			(SELECT pg_catalog.string_agg(pg_catalog.quote_ident(option_name) || '=' || pg_catalog.quote_literal(option_value), ', ')
				FROM pg_catalog.pg_options_to_table(spcoptions)) AS options
		FROM pg_catalog.pg_tablespace WHERE spcname !~ '^pg_' ORDER BY spcname`,
	);
	const labels = await labelsOf(query, 'pg_tablespace');
	const grants = await privileges(query, 'pg_tablespace', 'spcname', 'spcacl', 'spcowner');
	for (const { oid, name, owner, location, comment, options } of found) {
		const quoted = quoteIdentifier(name);
		// One that lies in the server's own folder has a relative path, and is created without one.
		const place = location.startsWith('/') || /^[A-Za-z]:/.test(location) ? location : '';
		yield `CREATE TABLESPACE ${quoted} OWNER ${quoteIdentifier(owner)} LOCATION ${quoteLiteral(place)};\n`;
		if (options) yield `ALTER TABLESPACE ${quoted} SET (${options});\n`;
		yield* grants(name, `TABLESPACE ${quoted}`, owner);
		if (comment) yield `COMMENT ON TABLESPACE ${quoted} IS ${quoteLiteral(comment)};\n`;
		yield* labels(oid, `TABLESPACE ${quoted}`);
	}
}

/** Who may set which parameters of the server, since PostgreSQL 15. */
export async function* parameterPrivileges({ query, major }: GlobalsSource): AsyncGenerator<string> {
	if (major < 15) return;
	const found = await query<'name' | 'owner'>(
		`SELECT parname AS name, pg_catalog.pg_get_userbyid(10) AS owner FROM pg_catalog.pg_parameter_acl ORDER BY parname`,
	);
	const grants = await privileges(query, 'pg_parameter_acl', 'parname', 'paracl', '10');
	for (const { name, owner } of found) {
		yield* grants(name, `PARAMETER ${name.split('.').map(quoteIdentifier).join('.')}`, owner);
	}
}

/** GRANT statements that bring about the access control lists of a catalog's objects. */
async function privileges(
	query: Query,
	catalog: string,
	nameColumn: string,
	aclColumn: string,
	ownerSql: string,
): Promise<(name: string, object: string, owner: string) => string[]> {
	const found = await query<'name' | 'grantor' | 'grantee' | 'privilege' | 'grantable'>(
		`SELECT c.${nameColumn} AS name, pg_catalog.pg_get_userbyid(a.grantor) AS grantor,
			CASE a.grantee WHEN 0 THEN NULL ELSE pg_catalog.pg_get_userbyid(a.grantee) END AS grantee,
			a.privilege_type AS privilege, a.is_grantable AS grantable
		FROM pg_catalog.${catalog} c, pg_catalog.aclexplode(c.${aclColumn}) WITH ORDINALITY
			AS a(grantor, grantee, privilege_type, is_grantable, place)
		ORDER BY 1, place`,
	);
	const listed = await query<'name' | 'owned'>(
		`SELECT ${nameColumn} AS name, EXISTS (SELECT FROM pg_catalog.aclexplode(${aclColumn}) a WHERE a.grantee = ${ownerSql}) AS owned
		FROM pg_catalog.${catalog} WHERE ${aclColumn} IS NOT NULL`,
	);
	return (name, object, owner) => {
		const isOwned = listed.find((each) => each.name === name)?.owned;
		if (isOwned === undefined) return [];
		const statements = isOwned === 't' ? [] : [`REVOKE ALL ON ${object} FROM ${quoteIdentifier(owner)};\n`];
		for (const each of found) {
			if (each.name !== name || each.grantee === owner) continue;
			const to = each.grantee === null ? 'PUBLIC' : quoteIdentifier(each.grantee);
			const grant = `GRANT ${each.privilege} ON ${object} TO ${to}${each.grantable === 't' ? ' WITH GRANT OPTION' : ''};\n`;
			statements.push(
				each.grantor === owner
					? grant
					: `SET SESSION AUTHORIZATION ${quoteIdentifier(each.grantor)};\n${grant}RESET SESSION AUTHORIZATION;\n`,
			);
		}
		return statements;
	};
}
