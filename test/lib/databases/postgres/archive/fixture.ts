import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { readArchive } from '../../../../../lib/databases/postgres/archive/reader';
import type {
	ArchiveReader,
	ArchiveToc,
	ByteSource,
} from '../../../../../lib/databases/postgres/archive/types';
import type { DataSource, EntryData } from '../../../../../lib/databases/postgres/archive/written-types';
import { startPostgres, type PostgresServer } from '../../../../servers/postgres';

/** What is hard about a dump, as far as the archive format is concerned. */
export const LARGE_TABLE_ROWS = 12_000;
const sampleSql = String.raw`
CREATE ROLE "Leser ö";
CREATE SCHEMA "Größe 大";
CREATE TABLE orders (id int PRIMARY KEY, note text, at timestamptz DEFAULT '2026-01-01');
INSERT INTO orders SELECT g, CASE g % 7 WHEN 0 THEN NULL WHEN 1 THEN E'tab\tnewline\nback\\slash' WHEN 2 THEN '\.' WHEN 3 THEN ''
  ELSE repeat('ä', g % 90) END FROM generate_series(1, ${LARGE_TABLE_ROWS}) g;
CREATE INDEX orders_note ON orders (md5(note));
CREATE TABLE "Größe 大"."It's ""quoted"" ü" ("Spalte 1" text, b bytea);
INSERT INTO "Größe 大"."It's ""quoted"" ü" VALUES ('日本', '\x00ff0a5c'), (NULL, NULL);
CREATE TABLE no_columns ();
INSERT INTO no_columns DEFAULT VALUES;
INSERT INTO no_columns DEFAULT VALUES;
CREATE TABLE no_rows (a int, b text);
CREATE TABLE items (id int GENERATED ALWAYS AS IDENTITY, order_id int REFERENCES orders, CHECK (id > 0));
INSERT INTO items (order_id) SELECT g FROM generate_series(1, 100) g;
COMMENT ON TABLE items IS 'Zeile 1
Zeile 2';
COMMENT ON COLUMN items.id IS 'key';
GRANT SELECT ON items TO "Leser ö";
GRANT UPDATE (order_id) ON items TO "Leser ö";
CREATE VIEW big_orders AS SELECT * FROM orders WHERE id > 1000;
CREATE MATERIALIZED VIEW totals AS SELECT count(*) FROM orders;
CREATE FUNCTION add_up(a int, b int) RETURNS int LANGUAGE sql AS 'SELECT a + b';
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE TRIGGER touched BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION touch();
CREATE SEQUENCE counter START 7;
SELECT nextval('counter');
CREATE TABLE parts (id int, region text) PARTITION BY LIST (region);
CREATE TABLE parts_eu PARTITION OF parts FOR VALUES IN ('eu');
INSERT INTO parts VALUES (1, 'eu');
SELECT lo_from_bytea(70000, 'abc'), lo_create(70001),
  lo_from_bytea(3000000000, decode(repeat('00ff0a5c', 20000), 'hex'));
COMMENT ON LARGE OBJECT 70000 IS 'a large object';
GRANT SELECT ON LARGE OBJECT 70000 TO "Leser ö";
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO "Leser ö";
CREATE PUBLICATION everything FOR TABLE orders;
`;

const execute = promisify(execFile);

/** Runs a command. Gives its output; fails with what it said on stderr. */
export async function run(command: string, args: string[], env = process.env): Promise<string> {
	const { stdout } = await execute(command, args, { env: { ...env, TZ: 'UTC' }, maxBuffer: 1e9 });
	return stdout;
}

export interface Sample {
	server: PostgresServer;
	folder: string;
	/** Of the database `sample`. */
	env: NodeJS.ProcessEnv;
	/** The content of a database as text, its rows sorted. */
	dumpText(database: string): Promise<string>;
	createDatabase(name: string): Promise<NodeJS.ProcessEnv>;
	/** Path of a new archive of the database. */
	archive(name: string, ...args: string[]): Promise<string>;
	path(name: string): string;
	stop(): Promise<void>;
}

/** A server 15, as Debian's clients are, with a database `sample`. */
export async function startSample(sql = sampleSql): Promise<Sample> {
	const server = await startPostgres({ version: 15 });
	const folder = await mkdtemp(join(tmpdir(), 'lifeboat-archive-'));
	const createDatabase = async (name: string) => {
		await run('psql', ['-qXc', `CREATE DATABASE ${name}`], server.env());
		return server.env(name);
	};
	const env = await createDatabase('sample');
	await run('psql', ['-qXv', 'ON_ERROR_STOP=1', '-c', sql], env);
	return {
		...{ server, folder, env, createDatabase },
		path: (name) => join(folder, name),
		async dumpText(database) {
			const text = await run('pg_dump', ['--restrict-key=key'], server.env(database));
			// Rows have no order of their own.
			return text.replaceAll(
				/^(COPY .*\n)([^]*?)^\\\.$/gm,
				(_block, copy: string, rows: string) => `${copy}${rows.split('\n').toSorted().join('\n')}\\.`,
			);
		},
		async archive(name, ...args) {
			const path = join(folder, name);
			await run('pg_dump', ['-Fc', ...args, '-f', path], env);
			return path;
		},
		async stop() {
			await server.stop();
			await rm(folder, { recursive: true, force: true });
		},
	};
}

/** The data of an archive that is read, for writing it again. */
export function dataOf(archive: ArchiveReader): DataSource {
	const blocks = archive.blocks();
	return async (entry): Promise<EntryData> => {
		const next = await blocks.next();
		if (next.done || next.value.entry.dumpId !== entry.dumpId) throw new Error('blocks are out of order');
		const block = next.value;
		if (block.kind === 'large-objects') {
			return {
				kind: 'large-objects',
				objects: (async function* () {
					for await (const { oid, content } of block.objects()) yield { oid, content: content() };
				})(),
			};
		}
		return entry.copyStmt
			? { kind: 'rows', rows: block.rows() }
			: { kind: 'content', content: block.content() };
	};
}

/** Everything that an archive holds, decoded. */
export interface Decoded {
	toc: ArchiveToc;
	/** By the entry's tag. */
	tables: Map<string, { text: string; rows: number | undefined; offset: number }>;
	largeObjects: Map<number, string>;
}

/** Reads an archive whole. Contents are given as latin1: one character a byte. */
export async function decode(source: ByteSource | string): Promise<Decoded> {
	const archive = await readArchive(typeof source === 'string' ? createReadStream(source) : source);
	const decoded: Decoded = { toc: archive.toc, tables: new Map(), largeObjects: new Map() };
	for await (const block of archive.blocks()) {
		if (block.kind === 'table') {
			const bytes: Buffer[] = [];
			const content = block.entry.copyStmt ? block.rows() : block.content();
			let next = await content.next();
			for (; !next.done; next = await content.next()) bytes.push(next.value);
			const text = Buffer.concat(bytes).toString('latin1');
			decoded.tables.set(block.entry.tag, { text, rows: next.value ?? undefined, offset: block.offset });
		} else {
			for await (const object of block.objects()) {
				const bytes: Buffer[] = [];
				for await (const chunk of object.content()) bytes.push(chunk);
				decoded.largeObjects.set(object.oid, Buffer.concat(bytes).toString('latin1'));
			}
		}
	}
	return decoded;
}

/** Compares long texts, and says of a difference only where it starts. */
export function assertSameText(actual: string, expected: string): void {
	if (actual === expected) return;
	const [have, want] = [actual.split('\n'), expected.split('\n')];
	const line = want.findIndex((text, i) => have[i] !== text);
	assert.fail(`line ${line + 1} is ${JSON.stringify(have[line])} instead of ${JSON.stringify(want[line])}`);
}

/** Bytes as a source, in pieces of the given size. */
export async function* pieces(bytes: Uint8Array, size = 64 * 1024): AsyncGenerator<Buffer> {
	for (let at = 0; at < bytes.length; at += size) yield Buffer.from(bytes.subarray(at, at + size));
}
