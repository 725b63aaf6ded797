import { quoteIdentifier, quoteLiteral } from '../identifiers';

import { labelsOf } from './comments';
import type { GlobalsSource } from './query';
import { settingStatement } from './settings';

const attributes = [
	['rolsuper', 'SUPERUSER'],
	['rolinherit', 'INHERIT'],
	['rolcreaterole', 'CREATEROLE'],
	['rolcreatedb', 'CREATEDB'],
	['rolcanlogin', 'LOGIN'],
	['rolreplication', 'REPLICATION'],
	['rolbypassrls', 'BYPASSRLS'],
] as const;

/** Roles with their attributes, comments and labels. A role that is there already gets the attributes. */
export async function* roles({ query, passwords }: GlobalsSource): AsyncGenerator<string> {
	const flags = attributes.map(([column]) => column);
	const found = await query<
		(typeof attributes)[number][0] | 'rolname' | 'rolconnlimit' | 'password' | 'until' | 'comment' | 'oid'
	>(
		`SELECT oid, rolname, ${flags.join(', ')}, rolconnlimit, ${passwords ? 'rolpassword' : 'NULL'} AS password,
			rolvaliduntil AS until, pg_catalog.shobj_description(oid, 'pg_authid') AS comment
		FROM pg_catalog.${passwords ? 'pg_authid' : 'pg_roles'} WHERE rolname !~ '^pg_' ORDER BY rolname`,
	);
	const labels = await labelsOf(query, 'pg_authid');
	for (const role of found) {
		const name = quoteIdentifier(role.rolname);
		// Alone, CREATE ROLE would stop a restore at the first role that every server has.
		const create = `IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = ${quoteLiteral(role.rolname)}) THEN CREATE ROLE ${name}; END IF;`;
		yield `DO LANGUAGE plpgsql ${quoteLiteral(`BEGIN ${create} END`)};\n`;
		const words = attributes.map(([column, word]) => (role[column] === 't' ? word : `NO${word}`));
		if (role.rolconnlimit !== '-1') words.push(`CONNECTION LIMIT ${role.rolconnlimit}`);
		if (role.password) words.push(`PASSWORD ${quoteLiteral(role.password)}`);
		if (role.until) words.push(`VALID UNTIL ${quoteLiteral(role.until)}`);
		yield `ALTER ROLE ${name} WITH ${words.join(' ')};\n`;
		if (role.comment) yield `COMMENT ON ROLE ${name} IS ${quoteLiteral(role.comment)};\n`;
		yield* labels(role.oid, `ROLE ${name}`);
	}
}

/** `ALTER ROLE ... SET`, for all databases. */
export async function* roleSettings({ query }: GlobalsSource): AsyncGenerator<string> {
	const found = await query<'role' | 'setting'>(
		`SELECT pg_catalog.pg_get_userbyid(s.setrole) AS role, setting
		FROM pg_catalog.pg_db_role_setting s, pg_catalog.unnest(s.setconfig) WITH ORDINALITY AS u(setting, place)
		WHERE s.setdatabase = 0 AND s.setrole <> 0 ORDER BY 1, place`,
	);
	for (const { role, setting } of found) {
		yield settingStatement(`ALTER ROLE ${quoteIdentifier(role)}`, setting);
	}
}

interface Membership {
	role: string;
	member: string;
	grantor: string | undefined;
	admin: boolean;
	options: string;
}

/** Who is a member of what, each grant after the one that its grantor has the right from. */
export async function* memberships({ query, major }: GlobalsSource): AsyncGenerator<string> {
	const found = await query<'role' | 'member' | 'grantor' | 'bootstrap' | 'admin' | 'inherit' | 'set'>(
		`SELECT r.rolname AS role, m.rolname AS member, g.rolname AS grantor, (g.oid = 10) AS bootstrap, a.admin_option AS admin,
			${major >= 16 ? 'a.inherit_option AS inherit, a.set_option AS set' : 'NULL AS inherit, NULL AS set'}
		FROM pg_catalog.pg_auth_members a
		JOIN pg_catalog.pg_roles r ON r.oid = a.roleid JOIN pg_catalog.pg_roles m ON m.oid = a.member
		LEFT JOIN pg_catalog.pg_roles g ON g.oid = a.grantor
		WHERE NOT (r.rolname ~ '^pg_' AND m.rolname ~ '^pg_') ORDER BY 1, 2, 3`,
	);
	let waiting: Membership[] = found.map((row) => ({
		role: row.role,
		member: row.member,
		// The first superuser's name may be another on the server that this is restored to; its grants need no naming.
		grantor: row.bootstrap === 't' || row.grantor === null ? undefined : row.grantor,
		admin: row.admin === 't',
		options: [
			...(row.admin === 't' ? ['ADMIN OPTION'] : []),
			...(row.inherit ? [`INHERIT ${row.inherit === 't' ? 'TRUE' : 'FALSE'}`] : []),
			...(row.set === 'f' ? ['SET FALSE'] : []),
		].join(', '),
	}));
	const admins = new Set<string>();
	const key = (role: string, member: string) => JSON.stringify([role, member]);
	while (waiting.length > 0) {
		const isReady = ({ role, grantor }: Membership) =>
			grantor === undefined || major < 16 || admins.has(key(role, grantor));
		const ready = waiting.filter(isReady);
		// A grantor that has lost its own right since: the server that this is restored to decides.
		const next = ready.length > 0 ? ready : waiting;
		for (const { role, member, grantor, admin, options } of next) {
			if (admin) admins.add(key(role, member));
			const tail = `${options ? ` WITH ${options}` : ''}${grantor === undefined ? '' : ` GRANTED BY ${quoteIdentifier(grantor)}`}`;
			yield `GRANT ${quoteIdentifier(role)} TO ${quoteIdentifier(member)}${tail};\n`;
		}
		waiting = ready.length > 0 ? waiting.filter((each) => !next.includes(each)) : [];
	}
}
