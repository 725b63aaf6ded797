import type { Client } from 'pg';

import { databaseExists } from './create-like';

/** PostgreSQL cuts longer names off. */
const LONGEST_NAME = 63;

/** A name that no database has: two restores within a second would take the same one. */
export async function freeName(admin: Client, database: string, suffix: string): Promise<string> {
	let name = nameWith(database, suffix);
	for (let number = 2; await databaseExists(admin, name); number++)
		name = nameWith(database, `${suffix}_${number}`);
	return name;
}

/** A name with a suffix, cut before it where it would be too long. */
export function nameWith(database: string, suffix: string): string {
	let name = database;
	while (Buffer.byteLength(name + suffix) > LONGEST_NAME) name = [...name].slice(0, -1).join('');
	return name + suffix;
}

/** `20261121_020000`, in UTC. */
export function dated(now: Date): string {
	return now.toISOString().slice(0, 19).replace(/[-:]/g, '').replace('T', '_');
}
