import type { Client } from 'pg';

import { quoteIdentifier, quoteLiteral } from '../../identifiers';

import { nameWith } from './names';

/** The comment of a database that is being filled, by which a later restore knows what one that was killed has left. */
export function unfinished(database: string): string {
	return `Lifeboat: unfinished restore of ${database}`;
}

/**
 * Drops what restores of this database have left that were killed: none runs now, for they would hold the lock.
 *
 * @returns warnings
 */
export async function removeUnfinished(admin: Client, database: string): Promise<string[]> {
	const { rows } = await admin.query<{ name: string; comment: string | null }>(
		`SELECT datname::text AS name, pg_catalog.shobj_description(oid, 'pg_database') AS comment FROM pg_catalog.pg_database
		WHERE NOT datistemplate ORDER BY 1`,
	);
	const warnings: string[] = [];
	const start = nameWith(database, '_restore_00000000').slice(0, -8);
	for (const { name, comment } of rows) {
		if (comment === unfinished(database)) {
			await admin.query(`DROP DATABASE ${quoteIdentifier(name)} WITH (FORCE)`);
			warnings.push(`The database ${name}, which a restore had left that was killed, was removed`);
		} else if (name.startsWith(start) && /^[0-9a-f]{8}$/.test(name.slice(start.length))) {
			// Killed between two statements, right before its swap, or somebody's own: who knows drops it.
			warnings.push(
				`The database ${name} looks like one that a killed restore has left. If nobody needs it, drop it`,
			);
		}
	}
	return warnings;
}

/** Null where it has none. */
export async function commentOf(admin: Client, database: string): Promise<string | null> {
	const { rows } = await admin.query<{ comment: string | null }>(
		`SELECT pg_catalog.shobj_description(oid, 'pg_database') AS comment FROM pg_catalog.pg_database WHERE datname = $1`,
		[database],
	);
	return rows[0]?.comment ?? null;
}

/** @param comment none where null. */
export function commentStatement(database: string, comment: string | null): string {
	return `COMMENT ON DATABASE ${quoteIdentifier(database)} IS ${comment === null ? 'NULL' : quoteLiteral(comment)}`;
}
