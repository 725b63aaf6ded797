import type { Client } from 'pg';

import { localeOptions, readDatabaseLocale } from '../../database-locale';
import { quoteIdentifier } from '../../identifiers';

import { majorOf } from './create';

/** Whether there is a database of that name. */
export async function databaseExists(client: Client, name: string): Promise<boolean> {
	const { rows } = await client.query('SELECT FROM pg_catalog.pg_database WHERE datname = $1', [name]);
	return rows.length > 0;
}

/** The CREATE DATABASE that makes an empty database like another: encoding, locale, owner and tablespace. */
export async function createLikeStatement(client: Client, name: string, like: string): Promise<string> {
	const { rows } = await client.query<{ owner: string; tablespace: string }>(
		`SELECT pg_catalog.pg_get_userbyid(d.datdba) AS owner, t.spcname AS tablespace
		FROM pg_catalog.pg_database d JOIN pg_catalog.pg_tablespace t ON t.oid = d.dattablespace WHERE d.datname = $1`,
		[like],
	);
	const { owner, tablespace } = rows[0]!;
	const locale = localeOptions(await readDatabaseLocale(client, like), await majorOf(client));
	return `CREATE DATABASE ${quoteIdentifier(name)} TEMPLATE template0 OWNER ${quoteIdentifier(owner)} TABLESPACE ${quoteIdentifier(tablespace)} ${locale}`;
}
