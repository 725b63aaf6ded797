import type { Client } from 'pg';

import type { DatabaseSource } from '../../artifact/manifest';

import { quoteLiteral } from './identifiers';

/** How a database stores and sorts text: what `CREATE DATABASE` fixes for good. */
export type DatabaseLocale = NonNullable<DatabaseSource['locale']>;

interface LocaleRow {
	encoding: string;
	datcollate: string;
	datctype: string;
	/** `c` (libc), `i` (ICU) or `b` (builtin); absent before version 15. */
	datlocprovider?: DatabaseLocale['provider'];
	/** Version 15 and 16. */
	daticulocale?: string | null;
	/** From version 17 on. */
	datlocale?: string | null;
	/** From version 16 on. */
	daticurules?: string | null;
}

/** Of a database of the server; the one that the session is in unless given. Errors of the query pass unchanged. */
export async function readDatabaseLocale(client: Client, database?: string): Promise<DatabaseLocale> {
	const { rows } = await client.query<LocaleRow>(
		`SELECT d.*, pg_catalog.pg_encoding_to_char(d.encoding) AS encoding
		FROM pg_catalog.pg_database d WHERE d.datname = coalesce($1, pg_catalog.current_database())`,
		[database ?? null],
	);
	const row = rows[0]!;
	const locale = row.datlocale ?? row.daticulocale;
	return {
		...{ encoding: row.encoding, collate: row.datcollate, ctype: row.datctype },
		...(row.datlocprovider && { provider: row.datlocprovider }),
		...(locale && { locale }),
		...(row.daticurules && { icuRules: row.daticurules }),
	};
}

/** The option of `CREATE DATABASE` for the encoding alone; the rest is the server's default. */
export function encodingOption({ encoding }: Pick<DatabaseLocale, 'encoding'>): string {
	return `ENCODING ${quoteLiteral(encoding)}`;
}

/** The options of `CREATE DATABASE ... TEMPLATE template0` that give a database a locale. @param major version of the server. */
export function localeOptions(
	{ encoding, collate, ctype, provider, locale, icuRules }: DatabaseLocale,
	major: number,
): string {
	const options = [
		encodingOption({ encoding }),
		`LC_COLLATE ${quoteLiteral(collate)}`,
		`LC_CTYPE ${quoteLiteral(ctype)}`,
	];
	if (provider === 'i') {
		options.push('LOCALE_PROVIDER icu', `ICU_LOCALE ${quoteLiteral(locale ?? '')}`);
		if (icuRules) options.push(`ICU_RULES ${quoteLiteral(icuRules)}`);
	} else if (provider === 'b') {
		options.push('LOCALE_PROVIDER builtin', `BUILTIN_LOCALE ${quoteLiteral(locale ?? 'C')}`);
	} else if (major >= 15) options.push('LOCALE_PROVIDER libc');
	return options.join(' ');
}

/** For people: `UTF8, ICU de-AT`. */
export function localeText({ encoding, collate, ctype, provider, locale }: DatabaseLocale): string {
	if (provider === 'i') return `${encoding}, ICU ${locale}`;
	if (provider === 'b') return `${encoding}, builtin ${locale}`;
	return `${encoding}, ${collate === ctype ? collate : `${collate} and ${ctype}`}`;
}
