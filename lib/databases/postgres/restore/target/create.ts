import type { Client } from 'pg';

import { codeOf, messageOf } from '../../../../errors';
import {
	encodingOption,
	localeOptions,
	localeText,
	readDatabaseLocale,
	type DatabaseLocale,
} from '../../database-locale';
import { quoteIdentifier } from '../../identifiers';

/** What servers answer that don't have a locale, or nothing of its kind. */
const unavailable = new Set([
	'22023', // invalid_parameter_value: no such ICU locale, or none for that encoding
	'42809', // wrong_object_type: no such locale of the operating system
	'42601', // syntax_error: no such option, before version 15
	'42P17', // invalid_object_definition: no such provider
	'42704', // undefined_object: no such encoding
	'0A000', // feature_not_supported: built without ICU
]);

/**
 * Creates an empty database that stores and sorts text as the one does that the backup is of, or as near to it as this server can.
 *
 * @param locale the server's default holds where it isn't known.
 * @returns warnings. Errors of the server pass unchanged.
 */
export async function createDatabase(
	admin: Client,
	name: string,
	locale: DatabaseLocale | undefined,
): Promise<string[]> {
	const create = async (options: string) => {
		await admin.query(`CREATE DATABASE ${quoteIdentifier(name)} TEMPLATE template0 ${options}`);
	};
	if (!locale) {
		await create('');
		return [];
	}
	const major = await majorOf(admin);
	const libc = { encoding: locale.encoding, collate: 'C', ctype: 'C' };
	// The encoding stays in any case: in another one, rows may have no place.
	const choices = [localeOptions(locale, major), encodingOption(locale), localeOptions(libc, major)];
	let why: unknown;
	for (const options of choices) {
		try {
			await create(options);
			return why === undefined ? [] : [await differs(admin, name, locale, why)];
		} catch (error) {
			if (!unavailable.has(codeOf(error) ?? '')) throw error;
			why ??= error;
		}
	}
	throw why;
}

async function differs(admin: Client, name: string, locale: DatabaseLocale, why: unknown): Promise<string> {
	const made = localeText(await readDatabaseLocale(admin, name));
	return `${name} was created with ${made}, because this server can't give it what the database of the backup had, ${localeText(locale)} (${messageOf(why)}). Text may be sorted and compared otherwise`;
}

/** Of the server. */
export async function majorOf(client: Client): Promise<number> {
	const { rows } = await client.query<{ number: string }>(
		`SELECT pg_catalog.current_setting('server_version_num') AS number`,
	);
	return Math.floor(Number(rows[0]!.number) / 10_000);
}
