import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';

import { startPostgres, type PostgresServer } from '../../../../servers/postgres';
import { assertSameText, dumpToFile, withFolder } from '../helpers';

import { createDatabase, pgDump, psql, restore } from './server-tools';

/** Settings of a database, or a role, that change what values and statements mean, or what may be done. */
const settings = [
	...['array_nulls = off', 'transform_null_equals = on', 'standard_conforming_strings = off'],
	...["DateStyle = 'German, DMY'", 'IntervalStyle = sql_standard', 'extra_float_digits = -15'],
	...['bytea_output = escape', 'xmloption = document', "client_encoding = 'LATIN1'", 'backslash_quote = off'],
	...[
		"TimeZone = 'Asia/Tokyo'",
		'default_transaction_isolation = serializable',
		'check_function_bodies = on',
	],
	...[
		`search_path = '"$user", public, pg_catalog'`,
		'quote_all_identifiers = on',
		"statement_timeout = '9s'",
	],
	...["idle_in_transaction_session_timeout = '900ms'", 'default_transaction_read_only = on'],
];

const source = String.raw`
CREATE TABLE arrays (a text[], t text DEFAULT E'a\\b''c' CHECK (t <> E'\\')); INSERT INTO arrays VALUES ('{NULL,"NULL",x}');
CREATE TABLE times (i interval, t timestamptz, d date, f float8, m money);
INSERT INTO times VALUES ('-1 mons 2 days -03:04:05.6', '2020-02-03 04:05:06.789+00', '2020-02-03', 0.1::float8 + 0.2, '12.34'), ('1 year -1 day', 'infinity', '-infinity', 'NaN', '-1');
CREATE TABLE texts (x xml, b bytea); INSERT INTO texts VALUES ('<a>Grüße 日本</a>', '\xff00'), ('no document', '\x5c');
CREATE VIEW nulls AS SELECT a = NULL AS x FROM arrays; COMMENT ON VIEW nulls IS E'back\\slash ''quoted''';
CREATE MATERIALIZED VIEW counted AS SELECT a[1] IS NULL AS n FROM arrays;
CREATE SCHEMA "$user"; CREATE TABLE "$user".arrays (mine integer);
CREATE FUNCTION public.abs(integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 42';
CREATE FUNCTION public.lower(text) RETURNS text LANGUAGE sql AS 'SELECT ''mine''::text';
CREATE OPERATOR public.= (LEFTARG = integer, RIGHTARG = integer, FUNCTION = int4ne);
CREATE OPERATOR public.= (LEFTARG = name, RIGHTARG = name, FUNCTION = namene);
`;

let server: PostgresServer;
before(async () => {
	server = await startPostgres({ version: 15 });
	for (const database of ['source', 'target']) await createDatabase(server, database);
	await psql(server, 'source', source);
});
after(() => server.stop());

/** In a session that has the usual settings, whatever those of the database are. */
async function contentOf(database: string): Promise<string> {
	const usual =
		'-c quote_all_identifiers=off -c standard_conforming_strings=on -c default_transaction_read_only=off';
	const env = {
		...server.env(database),
		PGOPTIONS: `${usual} -c client_encoding=UTF8 -c bytea_output=hex -c TimeZone=UTC`,
	};
	const text = await pgDump({ ...server, env: () => env }, database);
	return text.toString().replace(/^\\(un)?restrict .*$/gm, '');
}

test('what settings a database has changes nothing of what is dumped and restored', async () => {
	const expected = await contentOf('source');
	for (const database of ['source', 'target']) {
		const changes = settings.map((setting) => `ALTER DATABASE ${database} SET ${setting}`);
		await psql(server, 'postgres', ...changes);
	}
	await withFolder(async (folder) => {
		for (const format of ['plain', 'custom'] as const) {
			const file = `${folder}/${format}`;
			const expectedTables = await dumpToFile(server.connection('source'), file, { format });
			const dump = await readFile(file);
			const options = { expectedTables, ifNotEmpty: 'clean' } as const;
			await restore(server, 'target', dump, options);
			assertSameText(expected, await contentOf('target'));
		}
	});
	assert.equal(await psql(server, 'target', 'SHOW array_nulls'), 'off');
});
