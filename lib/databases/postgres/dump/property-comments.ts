import type { Client } from 'pg';

import { PROPERTY_COMMENT, readDatabaseProperties } from '../database-properties';

import type { PostgresDumpOptions } from './options';

/**
 * The comments that hold what belongs to the database as a whole, which pg_dump writes into no script for a database of another name.
 * In the script, not in the manifest: settings may be secret, and with it they are encrypted.
 *
 * @returns empty where there is nothing to say. Errors of the queries pass unchanged.
 */
export async function propertyComments(
	client: Client,
	{ dataOnly, noOwner, noPrivileges }: PostgresDumpOptions,
): Promise<string> {
	if (dataOnly) return '';
	const { owner, comment, settings, privileges } = await readDatabaseProperties(client);
	const statements = [
		...(noOwner ? [] : [owner]),
		...[comment, ...settings],
		...(noPrivileges ? [] : privileges),
	];
	return statements
		.filter((statement) => statement !== undefined)
		.map((statement) => (canStand(statement) ? inComments(statement) : leftOut))
		.join('');
}

const leftOut = `-- ${PROPERTY_COMMENT}-- one was left out, for its text is in no known encoding, or a name in it holds a carriage return\n`;

/** psql ends a comment at a carriage return, too; what could not be decoded would come back as something else. */
function canStand(statement: string): boolean {
	return !/[\r\ufffd]/.test(statement);
}

function inComments(statement: string): string {
	return `${statement};`
		.split('\n')
		.map((line) => `-- ${PROPERTY_COMMENT}${line}\n`)
		.join('');
}
