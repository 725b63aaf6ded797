/** pg_dump's questions, where the answers of some servers would make it write what those servers don't take back. */
const replacements: [asked: string, instead: string][] = [
	// Servers of the minor releases of November 2026 and later keep a counter called `pg_attver` among the options of columns.
	// It is theirs alone: another server refuses it as an option.
	[
		"array_to_string(a.attoptions, ', ')",
		"array_to_string(ARRAY(SELECT o FROM pg_catalog.unnest(a.attoptions) o WHERE o NOT LIKE 'pg\\_attver=%'), ', ')",
	],
	// Asked of servers before 16, which don't know the option that pg_dump adds then to each subscription.
	["'t' AS subrunasowner", "'f' AS subrunasowner"],
	// Before PostgreSQL 15 the sequence of an identity column is logged even where its table is not, and there is no word for either:
	// pg_dump would say LOGGED.
	[
		'c.relpersistence, c.reloftype',
		`CASE WHEN d.deptype = 'i' AND pg_catalog.current_setting('server_version_num')::pg_catalog.int4 < 150000
	THEN (SELECT o.relpersistence FROM pg_catalog.pg_class o WHERE o.oid = d.refobjid)
	ELSE c.relpersistence END AS relpersistence, c.reloftype`,
	],
	// pg_dump 18.3 forgets to quote the name of a NOT NULL constraint where the column itself is inherited and so not written; the name
	// of such a constraint that has a comment is used in another place, too, which does quote it.
	[
		'co.conname AS notnull_name,',
		`CASE WHEN a.attislocal OR (co.convalidated AND pt.description IS NOT NULL)
	OR (SELECT c.relispartition FROM pg_catalog.pg_class c WHERE c.oid = a.attrelid) THEN co.conname
	ELSE pg_catalog.quote_ident(co.conname) END AS notnull_name,`,
	],
];

/** A question of pg_dump's, changed where its answer would have to be. */
export function withPortableAnswers(sql: string): string {
	return replacements.reduce((text, [asked, instead]) => text.replace(asked, () => instead), sql);
}
