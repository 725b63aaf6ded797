import assert from 'node:assert/strict';
import { createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { after, before, describe, test } from 'node:test';

import { PGlite } from '@electric-sql/pglite';

import {
	largeObjectIds,
	separateLargeObjects,
} from '../../../../../lib/databases/postgres/archive/large-objects';
import { readArchive } from '../../../../../lib/databases/postgres/archive/reader';
import { copyStatement, parseSkeleton } from '../../../../../lib/databases/postgres/archive/skeleton';
import type { ArchiveToc } from '../../../../../lib/databases/postgres/archive/types';
import type { DataSource } from '../../../../../lib/databases/postgres/archive/written-types';
import { verifyArchive } from '../../../../../lib/databases/postgres/archive/verify';
import { writeArchive } from '../../../../../lib/databases/postgres/archive/writer';

import { dataOf, decode, pieces, run, startSample, type Decoded, type Sample } from './fixture';
import { wasmArchive } from './wasm-pg-dump';

const sql = String.raw`
CREATE ROLE "Leser LARGE OBJECT 1";
CREATE TABLE orders (id int PRIMARY KEY, note text);
INSERT INTO orders VALUES (1, 'x'), (2, E'ü\t');
CREATE TABLE no_rows (a int);
CREATE TABLE no_columns ();
CREATE TABLE parts (id int) PARTITION BY RANGE (id);
CREATE VIEW big_orders AS SELECT * FROM orders;
SELECT lo_from_bytea(50000, 'abc'), lo_from_bytea(50001, 'def'), lo_create(50002), lo_from_bytea(60000, 'x');
ALTER LARGE OBJECT 50002 OWNER TO "Leser LARGE OBJECT 1";
GRANT SELECT ON LARGE OBJECT 50000, 50001 TO "Leser LARGE OBJECT 1";
COMMENT ON LARGE OBJECT 60000 IS 'a large object';
`;

describe("the archive of PostgreSQL 18's own pg_dump", { timeout: 120_000 }, () => {
	let database: PGlite;
	let sample: Sample;
	let bytes: Buffer;
	let decoded: Decoded;
	before(async () => {
		sample = await startSample('CREATE ROLE "Leser LARGE OBJECT 1"');
		database = await PGlite.create();
		await database.exec(sql);
		bytes = await wasmArchive(database);
		decoded = await decode(pieces(bytes));
	});
	after(async () => {
		await database.close();
		await sample.stop();
	});

	const write = async (
		toc: ArchiveToc,
		data: DataSource,
		version: number,
		compression: 'none' | 'gzip' | 'zstd' = 'none',
	) => Buffer.concat((await writeArchive(toc, data, { version, compression }).toArray()) as Buffer[]);
	/** What pg_restore 15 makes of it. */
	const restore = async (name: string, archive: Buffer) => {
		const path = sample.path(name);
		await pipeline(pieces(archive), createWriteStream(path));
		const env = await sample.createDatabase(name);
		await run('pg_restore', ['--exit-on-error', '-d', name, path], env);
		const query = async (statement: string) => (await run('psql', ['-qXAtc', statement], env)).trim();
		return {
			orders: await query("SELECT string_agg(id || note, ',' ORDER BY id) FROM orders"),
			noColumns: await query('SELECT count(*) FROM no_columns'),
			largeObjects: await query(
				"SELECT string_agg(concat_ws(' ', oid, encode(lo_get(oid), 'escape'), lomowner::regrole, lomacl, obj_description(oid, 'pg_largeobject')), E'\\n' ORDER BY oid) FROM pg_largeobject_metadata",
			),
		};
	};
	const largeObjects = [
		'50000 abc postgres {postgres=rw/postgres,"\\"Leser LARGE OBJECT 1\\"=r/postgres"}',
		'50001 def postgres {postgres=rw/postgres,"\\"Leser LARGE OBJECT 1\\"=r/postgres"}',
		'50002  "Leser LARGE OBJECT 1"',
		'60000 x postgres a large object',
	].join('\n');

	test('is read: version 1.16 with relation kinds and large objects in groups', () => {
		const { toc, tables } = decoded;
		assert.deepEqual([toc.version, toc.compression, toc.serverVersion], [16, 'none', '18.3']);
		const kinds = toc.entries
			.filter(({ relkind }) => relkind !== '')
			.map(({ tag, relkind }) => `${tag} ${relkind}`);
		assert.deepEqual(kinds.toSorted(), ['big_orders v', 'no_columns r', 'no_rows r', 'orders r', 'parts p']);
		assert.equal(
			tables.get('orders')?.text.trimEnd(),
			Buffer.from(
				"INSERT INTO public.orders VALUES (1, 'x');\nINSERT INTO public.orders VALUES (2, 'ü\t');",
			).toString('latin1'),
		);
		const groups = toc.entries.filter(({ desc }) => desc === 'BLOB METADATA');
		assert.deepEqual(groups.map(largeObjectIds), [[50000, 50001], [50002], [60000]]);
		assert.deepEqual(
			decoded.largeObjects,
			new Map([
				...([[50000, 'abc']] as const),
				...([[50001, 'def']] as const),
				...([[50002, '']] as const),
				...([[60000, 'x']] as const),
			]),
		);
	});

	test('is written back byte for byte', async () => {
		const archive = await readArchive(pieces(bytes));
		const again = await write(archive.toc, dataOf(archive), 16);
		const { offsets } = await verifyArchive(pieces(bytes));
		const start = Math.min(...offsets.values());
		// Header and TOC; in the data pg_dump makes a chunk of each statement.
		assert.ok(again.subarray(0, start).equals(bytes.subarray(0, start)));
		assert.deepEqual(
			await decode(pieces(again)).then(({ tables }) => tables.get('orders')),
			decoded.tables.get('orders'),
		);
		for (const compression of ['gzip', 'zstd'] as const) {
			const next = await readArchive(pieces(bytes));
			const { toc, largeObjects: found } = await decode(
				pieces(await write(next.toc, dataOf(next), 16, compression)),
			);
			assert.equal(toc.compression, compression);
			assert.deepEqual(toc.entries, decoded.toc.entries);
			assert.deepEqual(found, decoded.largeObjects);
		}
	});

	test('becomes one that pg_restore 15 takes, large objects with their owners, privileges and comments', async () => {
		const archive = await readArchive(pieces(bytes));
		const older = await write(archive.toc, dataOf(archive), 14);
		assert.deepEqual(await restore('older', older), { orders: '1x,2ü', noColumns: '0', largeObjects });
		await verifyArchive(pieces(older));
	});

	test('a skeleton is filled with rows', async () => {
		await assert.rejects(parseSkeleton(bytes), {
			code: 'INVALID_OPTION',
			message: /holds rows of TABLE DATA public.orders/,
		});
		// pg_dump left its read-only transaction open, and the search_path empty.
		await database.exec('ROLLBACK; RESET search_path; TRUNCATE orders');
		const toc = await parseSkeleton(await wasmArchive(database));
		const columns: Record<string, string> = { orders: 'id, note', no_rows: 'a', no_columns: '' };
		const rows: Record<string, string> = { orders: '1\tx\n2\tü\n', no_rows: '', no_columns: '\n\n\n' };
		for (const entry of toc.entries.filter(({ desc }) => desc === 'TABLE DATA')) {
			entry.copyStmt = copyStatement(`public.${entry.tag}`, columns[entry.tag]!);
		}
		const largeObject: Record<number, string> = { 50000: 'abc', 50001: 'def', 50002: '', 60000: 'x' };
		const data: DataSource = async ({ desc, tag }) => {
			if (desc !== 'BLOBS') return { kind: 'rows', rows: pieces(Buffer.from(rows[tag]!)) };
			const group = toc.entries.find((entry) => entry.desc === 'BLOB METADATA' && entry.tag === tag)!;
			const objects = async function* () {
				for (const oid of largeObjectIds(group))
					yield { oid, content: pieces(Buffer.from(largeObject[oid]!)) };
			};
			return { kind: 'large-objects', objects: objects() };
		};
		const filled = await write(toc, data, 14, 'gzip');
		const verified = await verifyArchive(pieces(filled));
		assert.deepEqual(
			new Map(verified.tables.map(({ name, rows: count }) => [name, count])),
			new Map([
				...([['no_columns', 3]] as const),
				...([['no_rows', 0]] as const),
				...([['orders', 2]] as const),
			]),
		);
		assert.deepEqual(await restore('filled', filled), { orders: '1x,2ü', noColumns: '3', largeObjects });
	});
});

test('groups of large objects become one entry each, and what depends on a group depends on its members', () => {
	const base = {
		...{
			hasData: false,
			catalogId: { tableOid: 0, oid: 0 },
			dropStmt: null,
			copyStmt: null,
			namespace: null,
		},
		...{
			tablespace: null,
			tableam: null,
			relkind: '',
			owner: 'me',
			withOids: false,
			section: 'data' as const,
		},
	};
	const toc: ArchiveToc = {
		...{
			version: 16,
			compression: 'none',
			database: 'd',
			serverVersion: '18',
			dumpVersion: '18',
			textEncoding: 'utf8',
		},
		createdAt: { year: 2026, month: 1, day: 1, hour: 0, minute: 0, second: 0, isDaylightSaving: false },
		entries: [
			{ ...base, dumpId: 3, tag: 't', desc: 'TABLE', section: 'pre-data', defn: 'CREATE', dependencies: [] },
			{ ...base, dumpId: 5, tag: '7..9', desc: 'BLOB METADATA', defn: '7\n8\n9\n', dependencies: [] },
			{
				...base,
				...{ dumpId: 6, tag: 'LARGE OBJECTS 7..9', desc: 'ACL', section: 'none', dependencies: [5] },
				defn: 'GRANT ALL ON LARGE OBJECT 7 TO "x LARGE OBJECT 7";\nREVOKE ALL ON LARGE OBJECT 7 FROM y;\n',
			},
			{ ...base, dumpId: 4, hasData: true, tag: '7..9', desc: 'BLOBS', defn: null, dependencies: [5, 99] },
		],
	};
	const { entries } = separateLargeObjects(toc);
	assert.deepEqual(
		entries.map(({ dumpId, desc, tag, section, dependencies }) => [dumpId, desc, tag, section, dependencies]),
		[
			[3, 'TABLE', 't', 'pre-data', []],
			[5, 'BLOB', '7', 'pre-data', []],
			[7, 'BLOB', '8', 'pre-data', []],
			[8, 'BLOB', '9', 'pre-data', []],
			[6, 'ACL', 'LARGE OBJECT 7', 'none', [5]],
			[9, 'ACL', 'LARGE OBJECT 8', 'none', [7]],
			[10, 'ACL', 'LARGE OBJECT 9', 'none', [8]],
			[4, 'BLOBS', '7..9', 'data', [5, 7, 8, 99]],
		],
	);
	assert.equal(
		entries[5]?.defn,
		'GRANT ALL ON LARGE OBJECT 8 TO "x LARGE OBJECT 7";\nREVOKE ALL ON LARGE OBJECT 8 FROM y;\n',
	);
	assert.deepEqual(entries[2]?.catalogId, { tableOid: 2613, oid: 8 });
	assert.equal(separateLargeObjects({ ...toc, entries }).entries, entries);
});
