import { quoteIdentifier, quoteLiteral } from '../identifiers';

import type { Query } from './query';

/** The security labels of the objects of a catalog, as statements. */
export async function labelsOf(
	query: Query,
	catalog: 'pg_authid' | 'pg_tablespace',
): Promise<(oid: string, object: string) => string[]> {
	const labels = await query<'objoid' | 'provider' | 'label'>(
		`SELECT objoid, provider, label FROM pg_catalog.pg_shseclabel
		WHERE classoid = 'pg_catalog.${catalog}'::pg_catalog.regclass ORDER BY provider`,
	);
	return (oid, object) =>
		labels
			.filter((label) => label.objoid === oid)
			.map(
				({ provider, label }) =>
					`SECURITY LABEL FOR ${quoteIdentifier(provider)} ON ${object} IS ${quoteLiteral(label)};\n`,
			);
}
