import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { lstat, readdir, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';

import { Client, type ClientConfig } from 'pg';
import { to as copyTo } from 'pg-copy-streams';

/** What to compare: each thing by its name, and a text that differs when it differs. */
export type Fingerprint = Map<string, string>;

export interface DatabaseFingerprint {
	things: Fingerprint;
	tables: number;
	rows: number;
	/** Bytes of all rows as text. */
	bytes: number;
}

/** Definitions, in the words of PostgreSQL itself. The first column names the thing, the second describes it. */
const definitions: Record<string, string> = {
	sequence: `SELECT format('%I.%I', schemaname, sequencename), concat_ws(' ', data_type, start_value, min_value, max_value, increment_by, cycle, cache_size, last_value)
		FROM pg_sequences`,
	view: `SELECT c.oid::regclass::text, pg_get_viewdef(c.oid) FROM pg_class c WHERE relkind IN ('v', 'm') AND relnamespace IN (SELECT * FROM user_schemas)`,
	column: `SELECT format('%s.%I', c.oid::regclass, attname), concat_ws(' ', attnum, format_type(atttypid, atttypmod), attnotnull, attidentity, attgenerated, pg_get_expr(adbin, adrelid), col_description(c.oid, attnum))
		FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid LEFT JOIN pg_attrdef d ON (adrelid, adnum) = (attrelid, attnum)
		WHERE attnum > 0 AND NOT attisdropped AND relkind IN ('r', 'p', 'v', 'm', 'c', 'f') AND relnamespace IN (SELECT * FROM user_schemas)`,
	constraint: `SELECT format('%s %I', coalesce(nullif(conrelid, 0)::regclass::text, contypid::regtype::text), conname), pg_get_constraintdef(oid)
		FROM pg_constraint WHERE connamespace IN (SELECT * FROM user_schemas)`,
	index: `SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index i JOIN pg_class c ON c.oid = indexrelid WHERE relnamespace IN (SELECT * FROM user_schemas)`,
	function: `SELECT oid::regprocedure::text, pg_get_functiondef(oid) FROM pg_proc WHERE prokind IN ('f', 'p') AND pronamespace IN (SELECT * FROM user_schemas)`,
	trigger: `SELECT format('%s %I', tgrelid::regclass, tgname), pg_get_triggerdef(t.oid) FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid
		WHERE NOT tgisinternal AND relnamespace IN (SELECT * FROM user_schemas)`,
	type: `SELECT t.oid::regtype::text, concat_ws(' ', typtype, format_type(typbasetype, typtypmod), typnotnull, typdefault, (SELECT string_agg(quote_literal(enumlabel), ',' ORDER BY enumsortorder) FROM pg_enum WHERE enumtypid = t.oid))
		FROM pg_type t WHERE typtype IN ('e', 'd', 'r', 'c') AND typnamespace IN (SELECT * FROM user_schemas)`,
	owner: `SELECT c.oid::regclass::text, concat_ws(' ', relowner::regrole, relacl, obj_description(c.oid, 'pg_class')) FROM pg_class c WHERE relkind IN ('r', 'p', 'v', 'm', 'S') AND relnamespace IN (SELECT * FROM user_schemas)`,
};

const userSchemas = `WITH user_schemas AS (SELECT oid FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema')`;

/** Reads all there is in a database: every row of every table in the order of its key, and every definition. */
export async function fingerprintDatabase(
	connection: ClientConfig,
	onTable: (name: string) => void = () => {},
): Promise<DatabaseFingerprint> {
	const client = new Client(connection);
	await client.connect();
	try {
		// Names come out qualified, and values independent of the server's settings.
		await client.query(
			`SET search_path = ''; SET timezone = 'UTC'; SET datestyle = 'ISO'; SET extra_float_digits = 3`,
		);
		await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
		const result: DatabaseFingerprint = { things: new Map(), tables: 0, rows: 0, bytes: 0 };
		for (const [kind, query] of Object.entries(definitions)) {
			const { rows } = await client.query<[string, string]>({
				text: `${userSchemas} ${query}`,
				rowMode: 'array',
			});
			for (const [name, text] of rows) result.things.set(`${kind} ${name}`, text);
		}
		const { rows: tables } = await client.query<{ name: string; key: string | null }>(
			`${userSchemas} SELECT c.oid::regclass::text AS name,
				(SELECT string_agg(quote_ident(attname), ', ' ORDER BY array_position(indkey::int2[], attnum))
					FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = ANY (indkey) WHERE indrelid = c.oid AND indisprimary) AS key
			FROM pg_class c WHERE relkind IN ('r', 'm') AND relnamespace IN (SELECT * FROM user_schemas) ORDER BY 1`,
		);
		for (const { name, key } of tables) {
			onTable(name);
			const hash = createHash('sha256');
			const rows = client.query(
				copyTo(`COPY (SELECT * FROM ${name} t ORDER BY ${key ?? 't::text'}) TO STDOUT`),
			);
			await pipeline(rows, async (chunks: AsyncIterable<Buffer>) => {
				for await (const chunk of chunks) {
					hash.update(chunk);
					result.bytes += chunk.length;
				}
			});
			result.things.set(`rows of ${name}`, `${rows.rowCount} rows, SHA-256 ${hash.digest('hex')}`);
			result.tables++;
			result.rows += rows.rowCount;
		}
		return result;
	} finally {
		await client.end();
	}
}

export interface FolderFingerprint {
	things: Fingerprint;
	files: number;
	bytes: number;
}

/** Reads all there is in a folder: names, kinds, modes, contents, targets of links. */
export async function fingerprintFolder(folder: string): Promise<FolderFingerprint> {
	const result: FolderFingerprint = { things: new Map(), files: 0, bytes: 0 };
	for await (const name of walk(folder)) {
		const path = join(folder, name);
		const status = await lstat(path);
		const mode = (status.mode & 0o7777).toString(8);
		if (status.isSymbolicLink()) {
			result.things.set(name, `link to ${await readlink(path)}`);
		} else if (status.isDirectory()) {
			result.things.set(name, `folder, mode ${mode}`);
		} else {
			const hash = createHash('sha256');
			await pipeline(createReadStream(path), hash);
			result.things.set(name, `file, mode ${mode}, ${status.size} bytes, SHA-256 ${hash.digest('hex')}`);
			result.files++;
			result.bytes += status.size;
		}
	}
	return result;
}

/** Every entry below a folder, links not followed (`readdir` with `recursive` follows them). */
async function* walk(folder: string, below = ''): AsyncGenerator<string> {
	for (const entry of await readdir(join(folder, below), { withFileTypes: true })) {
		const name = join(below, entry.name);
		yield name;
		if (entry.isDirectory()) yield* walk(folder, name);
	}
}

/** What differs, in words; empty when both are the same. */
export function differences(before: Fingerprint, after: Fingerprint): string[] {
	const found: string[] = [];
	for (const [name, text] of before) {
		const now = after.get(name);
		if (now === undefined) found.push(`missing: ${name}`);
		else if (now !== text) found.push(`different: ${name}: was ${text}, is ${now}`);
	}
	for (const name of after.keys()) if (!before.has(name)) found.push(`added: ${name}`);
	return found;
}
