import { NAME } from './name-pattern';

const versionEntry = new RegExp(
	String.raw`^(ALTER (?:FOREIGN )?TABLE (?:IF EXISTS )?(?:ONLY )?${NAME}(?:\.${NAME})? ALTER COLUMN ${NAME} SET \()([^()]*)\)$`,
	'i',
);

/**
 * Takes the entry `pg_attver` out of `ALTER TABLE ... ALTER COLUMN ... SET (...)`: an internal note of newer minor
 * versions of the server, which an older pg_dump takes for an option and every server refuses.
 *
 * @returns the same buffer where there is none; undefined where nothing is left to set.
 */
export function withoutVersionEntry(sql: Buffer): Buffer | undefined {
	if (!sql.includes('pg_attver')) return sql;
	const match = versionEntry.exec(sql.toString('latin1'));
	if (!match) return sql;
	const entries = match[2]!.split(',').map((entry) => entry.trim());
	const kept = entries.filter((entry) => !/^pg_attver\s*=\s*'?\d+'?$/i.test(entry));
	if (kept.length === entries.length) return sql;
	return kept.length === 0 ? undefined : Buffer.from(`${match[1]}${kept.join(', ')})`, 'latin1');
}
