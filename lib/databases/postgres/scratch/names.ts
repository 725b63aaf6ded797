import { randomBytes } from 'node:crypto';

import { connectPostgres, type PostgresConnection } from '../connection';

/** What the names of scratch databases begin with, so that one that was left can be told from any other. */
export const SCRATCH_PREFIX = 'lifeboat_restore_test_';

/** A name that nothing has, and that says when it was made. */
export function scratchName(now: Date): string {
	const stamp = now.toISOString().slice(0, 19).replace(/[-:]/g, '').replace('T', '_');
	return `${SCRATCH_PREFIX}${stamp}_${randomBytes(4).toString('hex')}`;
}

/** How long a test may run before what it uses is taken for left, in ms. */
const LEFT_AFTER = 24 * 60 * 60 * 1000;

/** Tells of databases that tests have left which were killed: each is a copy of somebody's data. */
export async function leftByOthers(maintenance: PostgresConnection, now: Date): Promise<string[]> {
	const client = await connectPostgres(maintenance);
	try {
		const { rows } = await client.query<{ name: string }>(
			'SELECT datname::text AS name FROM pg_catalog.pg_database WHERE pg_catalog.starts_with(datname, $1) ORDER BY 1',
			[SCRATCH_PREFIX],
		);
		const left = rows.map(({ name }) => name).filter((name) => now.getTime() - madeAt(name) > LEFT_AFTER);
		if (left.length === 0) return [];
		return [`Earlier tests that were killed have left databases: drop them by hand (${left.join(', ')})`];
	} finally {
		await client.end();
	}
}

/** Milliseconds since 1970; not a number where the name is of another kind. */
function madeAt(name: string): number {
	const [, date, time] = /^(\d{8})_(\d{6})_[0-9a-f]{8}$/.exec(name.slice(SCRATCH_PREFIX.length)) ?? [];
	if (date === undefined || time === undefined) return Number.NaN;
	return Date.parse(
		`${date.replace(/(....)(..)(..)/, '$1-$2-$3')}T${time.replace(/(..)(..)(..)/, '$1:$2:$3')}Z`,
	);
}
