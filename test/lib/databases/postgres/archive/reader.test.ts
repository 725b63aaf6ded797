import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';

import { readArchive, readDataBlock } from '../../../../../lib/databases/postgres/archive/reader';
import { parseList } from '../../../../../lib/databases/postgres/archive/list';
import { selectEntries } from '../../../../../lib/databases/postgres/archive/selection';
import { encodeHeader, Encoder } from '../../../../../lib/databases/postgres/archive/toc-writer';
import type { ArchiveToc } from '../../../../../lib/databases/postgres/archive/types';
import { archiveSettings, displayText } from '../../../../../lib/databases/postgres/archive/text';
import { verifyArchive } from '../../../../../lib/databases/postgres/archive/verify';

import { decode, LARGE_TABLE_ROWS, pieces, run, startSample, type Sample } from './fixture';

/** The TOC as it was before 1.14, without table access methods. */
function encodeOlderEntries({ entries }: ArchiveToc): Buffer {
	const out = new Encoder('utf8');
	out.int(entries.length);
	for (const entry of entries) {
		out.int(entry.dumpId);
		out.int(entry.hasData ? 1 : 0);
		for (const text of [
			String(entry.catalogId.tableOid),
			String(entry.catalogId.oid),
			entry.tag,
			entry.desc,
		]) {
			out.text(text);
		}
		out.int(['none', 'pre-data', 'data', 'post-data'].indexOf(entry.section) + 1);
		for (const text of [
			entry.defn,
			entry.dropStmt,
			entry.copyStmt,
			entry.namespace,
			entry.tablespace,
			entry.owner,
		]) {
			out.text(text);
		}
		out.text(entry.tag === 'items' ? 'true' : 'false');
		for (const dumpId of entry.dependencies) out.text(String(dumpId));
		out.text(null);
		out.fileOffset(entry.hasData ? 1 : 3, 0);
	}
	return out.result();
}

describe("reading archives of pg_dump's own", { timeout: 120_000 }, () => {
	let sample: Sample;
	before(async () => {
		sample = await startSample();
	});
	after(() => sample.stop());

	/** What the server itself says of every table. */
	const copies = async (): Promise<Map<string, string>> => {
		const result = new Map<string, string>();
		for (const [tag, table] of [
			['orders', 'orders (id, note, at)'],
			[`It's "quoted" ü`, `"Größe 大"."It's ""quoted"" ü" ("Spalte 1", b)`],
			['no_columns', 'no_columns'],
			['no_rows', 'no_rows (a, b)'],
			['items', 'items (id, order_id)'],
			['parts_eu', 'parts_eu (id, region)'],
		] as const) {
			const text = await run('psql', ['-qXc', `COPY ${table} TO STDOUT`], { ...sample.env, PGTZ: 'UTC' });
			result.set(tag, Buffer.from(text).toString('latin1'));
		}
		return result;
	};

	for (const level of ['0', '6', '9']) {
		for (const target of level === '9' ? (['file'] as const) : (['file', 'pipe'] as const)) {
			test(`compression level ${level}, written to a ${target}: all tables and large objects as the server has them`, async () => {
				let bytes: Buffer;
				if (target === 'file') bytes = await readFile(await sample.archive(`level-${level}`, `-Z${level}`));
				else {
					// A real pipe: pg_dump can't seek in it, and leaves the offsets unset.
					const child = spawn('pg_dump', ['-Fc', `-Z${level}`], { env: { ...sample.env, PGTZ: 'UTC' } });
					bytes = Buffer.concat((await child.stdout.toArray()) as Buffer[]);
				}
				const { toc, tables, largeObjects } = await decode(pieces(bytes));
				assert.equal(toc.version, 14);
				assert.equal(toc.compression, level === '0' ? 'none' : 'gzip');
				assert.equal(toc.compressionLevel, Number(level));
				assert.equal(toc.database, 'sample');
				assert.match(toc.dumpVersion ?? '', /^15\./);
				assert.equal(toc.createdAt.year, new Date().getFullYear());
				assert.deepEqual(new Map([...tables].map(([tag, { text }]) => [tag, text])), await copies());
				assert.equal(tables.get('orders')?.rows, LARGE_TABLE_ROWS);
				assert.equal(tables.get('no_columns')?.rows, 2);
				assert.equal(tables.get('no_rows')?.rows, 0);
				assert.deepEqual(
					largeObjects,
					new Map([
						[70000, 'abc'],
						[70001, ''],
						[3000000000, '\x00\xff\n\\'.repeat(20000)],
					]),
				);
				const withData = toc.entries.filter((entry) => entry.hasData);
				for (const entry of withData) assert.equal(entry.dataOffset !== undefined, target === 'file');
				if (target === 'file') {
					for (const entry of withData.filter(({ desc }) => desc === 'TABLE DATA')) {
						assert.equal(tables.get(entry.tag)?.offset, entry.dataOffset);
					}
				}
			});
		}
	}

	test('the table of contents says of each object what pg_restore prints of it', async () => {
		const path = await sample.archive('toc');
		const { toc } = await decode(path);
		const script = await run('pg_restore', ['--restrict-key=key', '-f', '-', path]);
		for (const entry of toc.entries) {
			if (['DATABASE', 'ENCODING'].includes(entry.desc) || entry.tag.startsWith('DATABASE ')) continue;
			if (entry.desc === 'STDSTRINGS') continue;
			if (entry.defn) assert.ok(script.includes(entry.defn), entry.tag);
			if (entry.copyStmt) assert.ok(script.includes(entry.copyStmt), entry.tag);
			assert.ok(
				entry.desc === 'SEARCHPATH' ||
					script.includes(`-- Name: ${entry.tag}`.split('\n')[0]!) ||
					entry.hasData,
			);
		}
		const clean = await run('pg_restore', ['--restrict-key=key', '--clean', '-f', '-', path]);
		for (const { dropStmt } of toc.entries) {
			if (dropStmt && !dropStmt.startsWith('DROP DATABASE')) assert.ok(clean.includes(dropStmt), dropStmt);
		}
		assert.deepEqual(archiveSettings(toc), {
			encoding: 'UTF8',
			standardConformingStrings: true,
			searchPath: "SELECT pg_catalog.set_config('search_path', '', false);\n",
		});
		const orders = toc.entries.find(({ desc, tag }) => desc === 'TABLE' && tag === 'orders')!;
		assert.deepEqual(
			{ ...orders, dumpId: 0, catalogId: orders.catalogId.tableOid, defn: '' },
			{
				...{ dumpId: 0, hasData: false, catalogId: 1259, tag: 'orders', desc: 'TABLE', section: 'pre-data' },
				...{ defn: '', dropStmt: 'DROP TABLE public.orders;\n', copyStmt: null, namespace: 'public' },
				...{
					tablespace: '',
					tableam: 'heap',
					relkind: '',
					owner: 'postgres',
					withOids: false,
					dependencies: [],
				},
			},
		);
		const data = toc.entries.find(({ desc, tag }) => desc === 'TABLE DATA' && tag === 'orders')!;
		assert.deepEqual(data.dependencies, [orders.dumpId]);
		assert.equal(data.section, 'data');
	});

	test('archives without rows, without schema, of INSERT statements and of single sections', async () => {
		for (const args of [
			['-s'],
			['-a'],
			['--section=data'],
			['--section=post-data'],
			['-t', 'items'],
			['-B'],
		]) {
			const path = await sample.archive('partial', ...args);
			const { tables, toc } = await verifyArchive(createReadStream(path));
			assert.equal(
				tables.length,
				toc.entries.filter(({ desc }) => desc === 'TABLE DATA').length,
				args.join(),
			);
		}
		const path = await sample.archive('inserts', '--inserts', '-t', 'items', '-t', 'no_rows');
		const { tables } = await decode(path);
		const statements = tables.get('items')!.text.trim().split('\n');
		assert.equal(statements.length, 100);
		assert.equal(statements[0], 'INSERT INTO public.items OVERRIDING SYSTEM VALUE VALUES (1, 1);');
		assert.equal(tables.get('items')!.rows, undefined);
		const verified = await verifyArchive(createReadStream(path));
		assert.equal(verified.tables.find(({ name }) => name === 'items')?.rows, undefined);
	});

	test('verification counts the rows of each table, and knows where each block starts', async () => {
		const path = await sample.archive('verified');
		const verified = await verifyArchive(createReadStream(path));
		assert.deepEqual(
			new Map(verified.tables.map(({ schema, name, rows }) => [`${schema}.${name}`, rows])),
			new Map<string, number>([
				...([['Größe 大.It\'s "quoted" ü', 2]] as const),
				...([['public.items', 100]] as const),
				...([['public.no_columns', 2]] as const),
				...([['public.no_rows', 0]] as const),
				...([['public.orders', LARGE_TABLE_ROWS]] as const),
				...([['public.parts_eu', 1]] as const),
			]),
		);
		assert.deepEqual(verified.largeObjects, { count: 3, bytes: 3 + 80000 });
		assert.equal(verified.size, (await readFile(path)).length);
		for (const entry of verified.toc.entries) {
			assert.equal(verified.offsets.get(entry.dumpId), entry.dataOffset);
		}
	});

	test('single blocks can be read at their offset, several at a time', async () => {
		const path = await sample.archive('blocks');
		const { toc, tables } = await decode(path);
		const texts = await Promise.all(
			toc.entries
				.filter(({ desc }) => desc === 'TABLE DATA')
				.map(async (entry) => {
					const start = entry.dataOffset!;
					const { block, close } = await readDataBlock(createReadStream(path, { start }), toc, entry, start);
					assert.ok(block.kind === 'table');
					const bytes: Buffer[] = [];
					for await (const chunk of block.rows()) bytes.push(chunk);
					await close();
					return [entry.tag, Buffer.concat(bytes).toString('latin1')] as const;
				}),
		);
		assert.deepEqual(new Map(texts), new Map([...tables].map(([tag, { text }]) => [tag, text])));
		const entry = toc.entries.find(({ tag, hasData }) => tag === 'orders' && hasData)!;
		const start = entry.dataOffset! - 3;
		await assert.rejects(readDataBlock(createReadStream(path, { start }), toc, entry, start), {
			code: 'ARCHIVE_DAMAGED',
		});
	});

	test('blocks that are skipped, left half-way or not touched do not disturb those after them', async () => {
		for (const level of ['-Z0', '-Z6']) {
			const path = await sample.archive('skipping', level);
			for (const treat of ['skip', 'leave', 'nothing'] as const) {
				const archive = await readArchive(createReadStream(path, { highWaterMark: 5000 }));
				const seen: string[] = [];
				let largeObject = '';
				for await (const block of archive.blocks()) {
					seen.push(block.entry.tag);
					if (treat === 'skip') await block.skip();
					if (treat === 'leave' && block.kind === 'table')
						for await (const chunk of block.rows()) if (chunk) break;
					if (treat === 'leave' && block.kind === 'large-objects') {
						for await (const object of block.objects()) {
							if (object.oid !== 70000) continue;
							for await (const chunk of object.content()) largeObject += chunk.toString();
							break;
						}
					}
				}
				assert.equal(seen.length, 7, treat);
				if (treat === 'leave') assert.equal(largeObject, 'abc');
			}
		}
	});

	test('the older formats of PostgreSQL 9.0 to 11 are read, as pg_restore reads them', async () => {
		const bytes = await readFile(await sample.archive('newer', '-Z0', '-t', 'items', '-t', 'orders'));
		const newer = await decode(pieces(bytes));
		const data = bytes.subarray(Math.min(...[...newer.tables.values()].map(({ offset }) => offset)));
		for (const version of [12, 13]) {
			const older = Buffer.concat([
				encodeHeader(newer.toc, { version, compression: 'none', level: 0 }),
				encodeOlderEntries(newer.toc),
				data,
			]);
			const decoded = await decode(pieces(older));
			assert.equal(decoded.toc.version, version);
			assert.deepEqual(
				decoded.toc.entries.map((entry) => ({ ...entry, dataOffset: undefined })),
				newer.toc.entries.map((entry) => ({
					...entry,
					...{ dataOffset: undefined, tableam: null, withOids: entry.tag === 'items' },
				})),
			);
			const texts = ({ tables }: typeof newer) => new Map([...tables].map(([tag, { text }]) => [tag, text]));
			assert.deepEqual(texts(decoded), texts(newer));
			const path = sample.path(`older-${version}`);
			await writeFile(path, older);
			assert.deepEqual(
				parseList(await run('pg_restore', ['-l', path])),
				selectEntries(decoded.toc, {}).map(({ entry }) => entry.dumpId),
			);
		}
	});

	test('an archive is read in pieces of any size', async () => {
		const path = await sample.archive('small', '-Z6', '-t', 'items', '-t', 'no_columns');
		const bytes = await readFile(path);
		const whole = await decode(pieces(bytes));
		for (const size of [1, 3, 4096]) assert.deepEqual(await decode(pieces(bytes, size)), whole);
	});

	test('texts and rows of a database in another encoding keep their bytes, and names become readable', async () => {
		for (const [encoding, name, bytes] of [
			['LATIN1', 'tür', 't\xfcr'],
			['WIN1252', '€uro', '\x80uro'],
			['EUC_JP', '日本', '\xc6\xfc\xcb\xdc'],
			['SQL_ASCII', 't\xfcr', 't\xfcr'],
		] as const) {
			const database = `in_${encoding.toLowerCase()}`;
			const create = `CREATE DATABASE ${database} TEMPLATE template0 ENCODING '${encoding}' LOCALE 'C'`;
			await run('psql', ['-qXc', create], sample.server.env());
			const env = { ...sample.server.env(database), PGCLIENTENCODING: encoding };
			const script = sample.path('script.sql');
			await writeFile(
				script,
				`CREATE TABLE "${bytes}" (t text); INSERT INTO "${bytes}" VALUES ('${bytes}');`,
				'latin1',
			);
			await run('psql', ['-qXv', 'ON_ERROR_STOP=1', '-f', script], env);
			const path = sample.path(`${encoding}.dump`);
			await run('pg_dump', ['-Fc', '-f', path], sample.server.env(database));
			const { toc, tables } = await decode(path);
			assert.equal(toc.textEncoding, 'latin1');
			assert.equal(archiveSettings(toc).encoding, encoding);
			assert.equal(tables.get(bytes)?.text, `${bytes}\n`);
			assert.equal(displayText(toc, bytes), name);
			const verified = await verifyArchive(createReadStream(path));
			assert.deepEqual(
				verified.tables.map((table) => table.name),
				[name],
			);
		}
	});
});
