import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { startPostgres, type PostgresMajor, type PostgresServer } from '../../../../servers/postgres';
import {
	assertSameText,
	compareDatabases,
	createBytes,
	dumpText,
	dumpToFile,
	nativeDumpText,
	normalizeDump,
	psql,
	withClient,
	withDatabase,
	withFolder,
} from '../helpers';

const folder = join(__dirname, '..');
const scripts = (version: number) => [
	join(folder, 'restore', 'torture.sql'),
	...(version > 13 ? [join(folder, 'restore', 'torture-14.sql')] : []),
	join(__dirname, 'odd-objects.sql'),
	join(__dirname, 'more-objects.sql'),
	...(version > 17 ? [join(__dirname, 'more-objects-18.sql')] : []),
];

for (const version of [13, 15, 16, 17, 18] satisfies PostgresMajor[]) {
	describe(`a database with every kind of object, PostgreSQL ${version}`, () => {
		let server: PostgresServer;

		before(async () => {
			server = await startPostgres({ version, settings: { wal_level: 'logical' } });
			await psql(server, 'postgres', {
				sql: 'CREATE ROLE reader; CREATE ROLE owner; CREATE ROLE "Ö; owner"',
			});
			await psql(server, 'postgres', { sql: 'CREATE DATABASE source TEMPLATE template0' });
			for (const file of scripts(version)) await psql(server, 'source', { file });
		});
		after(async () => server.stop());

		test('goes out and, with psql, back', async () => {
			await withFolder(async (target) =>
				withDatabase(server, async (database) => {
					const file = join(target, 'dump.sql');
					const tables = await dumpToFile(server.connection('source'), file);
					await psql(server, database, { file });
					await compareDatabases(server, 'source', server, database);
					const rows = (name: string) => tables.find((table) => table.name === name)?.rows;
					assert.equal(rows('orders'), 500);
					assert.equal(rows('no_columns'), 250);
					assert.equal(rows('only_generated'), 3);
					assert.equal(rows('events_rest'), 39);
					assert.equal(rows('Täble; x'), 3);
					assert.equal(rows('fresh'), undefined);
					assert.equal(rows('other_am'), 0);
					await withClient(server.connection(database), async (client) => {
						for (const { schema, name, rows: expected } of tables) {
							const table = `${client.escapeIdentifier(schema)}.${client.escapeIdentifier(name)}`;
							const result = await client.query<{ n: string }>(`SELECT count(*) AS n FROM ONLY ${table}`);
							assert.equal(Number(result.rows[0]!.n), expected, name);
						}
					});
				}),
			);
		});

		test('ends with the trailer of pg_dump and begins with settings that old servers take', async () => {
			const text = await dumpText(server.connection('source'), { schemaOnly: true });
			assert.match(text, /\n-- PostgreSQL database dump complete\n--\n\n\\unrestrict \w+\n\n$/);
			assert.match(text, /^SET client_encoding = 'UTF8';$/m);
			// Once, in the body of a function.
			assert.equal(text.match(/^SET transaction_timeout = 0;$/gm)?.length, 1);
			assert.match(text, /^-- Dumped by pg_dump version 18\./m);
		});

		if (version <= 15) {
			test('has the rows that pg_dump writes, where pg_dump writes them', async () => {
				assertSameText(
					copyBlocks(await nativeDumpText(server, 'source')),
					copyBlocks(await dumpText(server.connection('source'))),
				);
			});
		}
	});
}

/** The COPY blocks of a dump. */
function copyBlocks(dump: string): string {
	const blocks = normalizeDump(dump).match(
		/^-- Data for Name: [^\n]*\n--\n\nCOPY [^;]* FROM stdin;\n[^]*?^\\\.$/gm,
	)!;
	assert.ok(blocks.length > 12);
	assert.ok(blocks.some((block) => /^COPY \S+  FROM stdin;$/m.test(block)));
	return blocks.join('\n');
}

test('rows of hash partitions over an enum come back, wherever their hashes lie', async () => {
	const server = await startPostgres({ version: 16 });
	try {
		await withDatabase(server, async (source) => {
			await psql(server, source, {
				sql: `CREATE TYPE colour AS ENUM ('red', 'green', 'blue');
				CREATE TABLE by_hash (k colour, v integer) PARTITION BY HASH (k);
				CREATE TABLE by_hash_0 PARTITION OF by_hash FOR VALUES WITH (MODULUS 2, REMAINDER 0);
				CREATE TABLE by_hash_1 PARTITION OF by_hash FOR VALUES WITH (MODULUS 2, REMAINDER 1);
				INSERT INTO by_hash SELECT (ARRAY['red', 'green', 'blue'])[1 + i % 3]::colour, i FROM generate_series(1, 30) i`,
			});
			await withFolder(async (folder) => {
				const file = join(folder, 'dump.sql');
				const tables = await dumpToFile(server.connection(source), file);
				assert.deepEqual(tables, [{ schema: 'public', name: 'by_hash', rows: 30 }]);
				const rows = { sql: 'SELECT k, v FROM by_hash ORDER BY v' };
				const expected = await psql(server, source, rows);
				// The oids of the enum, and so its hashes, differ in each of these.
				for (let i = 0; i < 3; i++) {
					await withDatabase(server, async (target) => {
						await psql(server, target, { file });
						assert.equal(await psql(server, target, rows), expected);
					});
				}
			});
		});
	} finally {
		await server.stop();
	}
});

describe('encodings', () => {
	let server: PostgresServer;

	before(async () => {
		server = await startPostgres({ version: 15 });
	});
	after(async () => server.stop());

	test('a database that knows no encoding keeps its bytes', async () => {
		const clause = "ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'";
		await withDatabase(
			server,
			async (source) =>
				withFolder(async (folder) => {
					await createBytes(server, source);
					await withDatabase(
						server,
						async (target) => {
							const file = join(folder, 'dump.sql');
							const tables = await dumpToFile(server.connection(source), file);
							assert.equal(tables[0]?.rows, 1);
							const dump = await readFile(file, 'latin1');
							assert.match(dump, /^SET client_encoding = 'SQL_ASCII';$/m);
							assert.match(
								dump,
								/^COPY public\."t\xe4\xff" \("k\xe9", v\) FROM stdin;\n\x80\xfe\xc3\t1\n\\\.$/m,
							);
							await psql(server, target, { file });
							assertSameText(
								normalizeDump(await nativeDumpText(server, source)),
								normalizeDump(await nativeDumpText(server, target)),
							);
						},
						clause,
					);
				}),
			clause,
		);
	});

	for (const [encoding, text] of [
		['LATIN1', 'Grüße ©'],
		['EUC_JP', '日本語ﾊﾝｶｸ'],
		['WIN1251', 'Привет'],
	] as const) {
		test(`${encoding} is dumped as UTF-8`, async () => {
			const clause = `ENCODING '${encoding}' LC_COLLATE 'C' LC_CTYPE 'C'`;
			await withDatabase(
				server,
				async (source) => {
					await psql(server, source, {
						sql: `CREATE TABLE "${text}" ("${text}" text); INSERT INTO "${text}" VALUES ('${text}')`,
					});
					const dump = Buffer.from(await dumpText(server.connection(source)), 'latin1').toString();
					assert.ok(dump.includes(`COPY public."${text}" ("${text}") FROM stdin;\n${text}\n\\.\n`));
					await withDatabase(server, async (target) =>
						withFolder(async (folder) => {
							const file = join(folder, 'dump.sql');
							const tables = await dumpToFile(server.connection(source), file);
							assert.deepEqual(tables, [{ schema: 'public', name: text, rows: 1 }]);
							await psql(server, target, { file });
							assert.equal(await psql(server, target, { sql: `SELECT * FROM "${text}"` }), `${text}\n`);
						}),
					);
				},
				clause,
			);
		});
	}
});
