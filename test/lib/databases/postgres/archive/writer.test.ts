import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { writeArchiveToFile } from '../../../../../lib/databases/postgres/archive/file';
import { readArchive } from '../../../../../lib/databases/postgres/archive/reader';
import type { ArchiveToc, TocEntry } from '../../../../../lib/databases/postgres/archive/types';
import { verifyArchive } from '../../../../../lib/databases/postgres/archive/verify';
import { writeArchive } from '../../../../../lib/databases/postgres/archive/writer';
import type {
	DataSource,
	WriteArchiveOptions,
} from '../../../../../lib/databases/postgres/archive/written-types';

import {
	assertSameText,
	dataOf,
	decode,
	LARGE_TABLE_ROWS,
	pieces,
	run,
	startSample,
	type Sample,
} from './fixture';

const withoutOffsets = (toc: ArchiveToc) => toc.entries.map((entry) => ({ ...entry, dataOffset: undefined }));

describe('writing archives', { timeout: 120_000 }, () => {
	let sample: Sample;
	let original: string;
	before(async () => {
		sample = await startSample();
		original = await sample.archive('original', '-Z0');
	});
	after(() => sample.stop());

	/** Writes the original again. */
	const rewrite = async (
		name: string,
		target: 'file' | 'pipe',
		options: WriteArchiveOptions,
		change: (toc: ArchiveToc) => ArchiveToc = (toc) => toc,
	): Promise<string> => {
		const path = sample.path(name);
		const archive = await readArchive(createReadStream(original));
		const toc = change(archive.toc);
		if (target === 'file') await writeArchiveToFile(path, toc, dataOf(archive), options);
		else await pipeline(writeArchive(toc, dataOf(archive), options), createWriteStream(path));
		return path;
	};
	const restored = async (database: string, path: string, ...args: string[]) => {
		await sample.createDatabase(database);
		await run('pg_restore', ['--exit-on-error', ...args, '-d', database, path], sample.server.env());
		return sample.dumpText(database);
	};

	for (const compression of ['none', 'gzip'] as const) {
		for (const target of ['file', 'pipe'] as const) {
			test(`${compression} to a ${target}: pg_restore lists, prints and restores it${target === 'pipe' ? ' with two workers' : ''}`, async () => {
				const path = await rewrite('rewritten', target, { compression });
				const decoded = await decode(path);
				const before = await decode(original);
				assert.equal(decoded.toc.version, 14);
				assert.equal(decoded.toc.compression, compression);
				assert.deepEqual(withoutOffsets(decoded.toc), withoutOffsets(before.toc));
				for (const [tag, { text, rows, offset }] of decoded.tables) {
					assert.deepEqual(
						{ text, rows },
						{ text: before.tables.get(tag)?.text, rows: before.tables.get(tag)?.rows },
					);
					const entry = decoded.toc.entries.find((e) => e.tag === tag && e.desc === 'TABLE DATA');
					assert.equal(entry?.dataOffset, target === 'file' ? offset : undefined);
				}
				assert.deepEqual(decoded.largeObjects, before.largeObjects);

				const list = (archive: string) => run('pg_restore', ['-l', archive]);
				const withoutLevel = (text: string) => text.replace(/Compression: .*/, '');
				assertSameText(withoutLevel(await list(path)), withoutLevel(await list(original)));
				const script = (archive: string) => run('pg_restore', ['--restrict-key=key', '-f', '-', archive]);
				assertSameText(await script(path), await script(original));

				// Without offsets the workers have to search.
				const args = target === 'pipe' ? ['-j', '2'] : [];
				assertSameText(
					await restored(`${compression}_${target}`, path, ...args),
					await sample.dumpText('sample'),
				);
			});
		}
	}

	test('pg_restore finds single tables, schemas and listed entries, with and without offsets', async () => {
		for (const target of ['file', 'pipe'] as const) {
			const path = await rewrite('selected', target, {});
			const rows = async (database: string, table: string) => {
				const count = `SELECT count(*) FROM ${table}`;
				return (await run('psql', ['-qXAtc', count], sample.server.env(database))).trim();
			};
			await restored(`table_${target}`, path, '-t', 'orders');
			assert.equal(await rows(`table_${target}`, 'orders'), String(LARGE_TABLE_ROWS));
			assert.equal(
				await rows(`table_${target}`, "pg_class WHERE relnamespace = 'public'::regnamespace"),
				'1',
			);
			const env = await sample.createDatabase(`schema_${target}`);
			await run('psql', ['-qXc', 'CREATE SCHEMA "Größe 大"'], env);
			await run('pg_restore', ['-e', '-n', 'Größe 大', '-d', `schema_${target}`, path], env);
			assert.equal(await rows(`schema_${target}`, `"Größe 大"."It's ""quoted"" ü"`), '2');
			// The last table before the first: without offsets pg_restore has to search, and to go back.
			const { toc } = await decode(path);
			const wanted = toc.entries.filter(({ tag }) => ['orders', 'no_columns'].includes(tag)).toReversed();
			const tables = wanted.toSorted((a, b) => Number(a.hasData) - Number(b.hasData));
			await writeFile(sample.path('list'), tables.map(({ dumpId }) => `${dumpId};\n`).join(''));
			await restored(`list_${target}`, path, '-L', sample.path('list'));
			assert.equal(await rows(`list_${target}`, 'orders'), String(LARGE_TABLE_ROWS));
			assert.equal(await rows(`list_${target}`, 'no_columns'), '2');
		}
	});

	test('INSERT statements pass through as they are', async () => {
		const inserts = await sample.archive('inserts', '--inserts', '-t', 'items', '-t', 'no_rows');
		const archive = await readArchive(createReadStream(inserts));
		const path = sample.path('inserts-again');
		await writeArchiveToFile(path, archive.toc, dataOf(archive), { level: 9 });
		const script = (from: string) => run('pg_restore', ['--restrict-key=key', '-f', '-', from]);
		assertSameText(await script(path), await script(inserts));
	});

	test('zstd needs 1.15: the reader gives back the same, and pg_restore 15 refuses it by its version', async () => {
		const before = await decode(original);
		for (const level of [1, 19]) {
			const path = await rewrite('zstd', 'file', { compression: 'zstd', level });
			const after = await decode(path);
			assert.equal(after.toc.version, 15);
			assert.equal(after.toc.compression, 'zstd');
			assert.equal(after.toc.compressionLevel, undefined);
			assert.deepEqual(withoutOffsets(after.toc), withoutOffsets(before.toc));
			for (const [tag, { text }] of after.tables) assert.equal(text, before.tables.get(tag)?.text);
			assert.deepEqual(after.largeObjects, before.largeObjects);
			assert.ok((await stat(path)).size < (await stat(original)).size / 3);
			await assert.rejects(run('pg_restore', ['-l', path]), /unsupported version \(1\.15\) in file header/);
		}
		const gzip15 = await decode(await rewrite('gzip-15', 'pipe', { version: 15 }));
		assert.deepEqual([gzip15.toc.version, gzip15.toc.compression], [15, 'gzip']);
	});

	test('relation kinds are kept in 1.16, which is chosen where an access method would be lost without', async () => {
		const withKind = (kind: string) => (toc: ArchiveToc) => ({
			...toc,
			entries: toc.entries.map((entry) => (entry.desc === 'TABLE' ? { ...entry, relkind: kind } : entry)),
		});
		const kinds = async (path: string) => {
			const { toc } = await decode(path);
			return [
				toc.version,
				...new Set(toc.entries.filter(({ desc }) => desc === 'TABLE').map((e) => e.relkind)),
			];
		};
		assert.deepEqual(await kinds(await rewrite('r', 'pipe', {}, withKind('r'))), [14, '']);
		assert.deepEqual(await kinds(await rewrite('r', 'pipe', { version: 16 }, withKind('r'))), [16, 'r']);
		assert.deepEqual(await kinds(await rewrite('p', 'pipe', {}, withKind('p'))), [16, 'p']);
		await assert.rejects(rewrite('p', 'pipe', { version: 14 }, withKind('p')), { code: 'INVALID_OPTION' });
	});

	test('blocks of all sizes, the small of which are compressed apart, are read by pg_restore', async () => {
		const { toc } = await decode(original);
		const model = toc.entries.find(({ tag, desc }) => tag === 'orders' && desc === 'TABLE DATA')!;
		const sizes = [
			0, 1, 2, 250, 255, 256, 257, 511, 512, 4095, 16_378, 16_379, 16_380, 16_384, 16_385, 70_000,
		];
		const text = Buffer.from(randomBytes(60_000).toString('base64'));
		/** A row of so many bytes with its end. */
		const row = (size: number) =>
			size === 0 ? text.subarray(0, 0) : Buffer.concat([text.subarray(0, size - 1), Buffer.from('\n')]);
		const entries = sizes.map((size, i) => ({
			...model,
			...{ dumpId: i + 1, tag: `t${size}`, dependencies: [], dataOffset: undefined },
			copyStmt: `COPY t${size} (t) FROM stdin;\n`,
		}));
		for (const compression of ['gzip', 'zstd'] as const) {
			const path = sample.path(`sizes-${compression}`);
			const data: DataSource = async ({ dumpId }) => ({
				kind: 'rows',
				rows: pieces(row(sizes[dumpId - 1]!), 5000),
			});
			await pipeline(writeArchive({ ...toc, entries }, data, { compression }), createWriteStream(path));
			const decoded = await decode(path);
			for (const size of sizes) assert.equal(decoded.tables.get(`t${size}`)?.text, row(size).toString());
			if (compression === 'zstd') continue;
			const script = await run('pg_restore', ['-f', '-', path]);
			for (const size of sizes) {
				assert.ok(
					script.includes(`\nCOPY t${size} (t) FROM stdin;\n${row(size).toString()}\\.\n`),
					`${size}`,
				);
			}
		}
	});

	test('what reads ahead writes the same bytes', async () => {
		const entries = (await decode(original)).toc;
		const data: DataSource = async (entry) =>
			entry.desc === 'BLOBS'
				? {
						kind: 'large-objects',
						objects: Readable.from([{ oid: 70000, content: Readable.from([Buffer.from('x')]) }]),
					}
				: { kind: 'rows', rows: Readable.from([Buffer.from(`${entry.tag}\n`)]) };
		const [one, two] = await Promise.all(
			[0, 3].map(async (readAhead) =>
				Buffer.concat((await writeArchive(entries, data, { readAhead }).toArray()) as Buffer[]),
			),
		);
		assert.ok(one!.equals(two!));
	});

	test('options that can not be served are refused before anything is read', async () => {
		const { toc } = await decode(original);
		const never: DataSource = () => Promise.reject(new Error('read'));
		for (const options of [
			...[{ level: 0 }, { level: 10 }, { compression: 'zstd', level: 20 }, { version: 13 }, { version: 17 }],
			...[{ compression: 'zstd', version: 14 }],
		] as WriteArchiveOptions[]) {
			assert.throws(() => writeArchive(toc, never, options), { code: 'INVALID_OPTION' });
		}
	});

	test('a source that fails, ends in the middle of a row or is of the wrong kind leaves no file behind', async () => {
		const { toc } = await decode(original);
		const path = sample.path('failing');
		const files = await readdir(sample.folder);
		const failing = (
			entry: TocEntry,
			how: 'throws' | 'breaks' | 'half' | 'kind',
		): Awaited<ReturnType<DataSource>> => {
			if (how === 'throws') throw new Error('connection lost');
			if (how === 'kind') return { kind: 'large-objects', objects: Readable.from([]) };
			const broken = async function* () {
				yield Buffer.alloc(300_000, `${entry.tag}\n`);
				await sleep(5);
				throw new Error('connection lost');
			};
			return {
				kind: 'rows',
				rows: how === 'half' ? Readable.from([Buffer.from('1\t')]) : Readable.from(broken()),
			};
		};
		for (const compression of ['none', 'gzip', 'zstd'] as const) {
			for (const [how, expected] of [
				['throws', /connection lost/],
				['breaks', /connection lost/],
				['half', /middle of a row/],
				['kind', /wrong kind/],
			] as const) {
				const data: DataSource = async (entry) => failing(entry, how);
				for (const readAhead of [0, 4]) {
					await assert.rejects(writeArchiveToFile(path, toc, data, { compression, readAhead }), expected);
				}
			}
		}
		assert.deepEqual(await readdir(sample.folder), files);
	});

	test('an abort, or destroying the stream, ends sources that would never end', async () => {
		const { toc } = await decode(original);
		const files = await readdir(sample.folder);
		for (const compression of ['none', 'gzip', 'zstd'] as const) {
			const sources: Readable[] = [];
			const signals: AbortSignal[] = [];
			const stalled: DataSource = async (_entry, signal) => {
				const rows = new Readable({ read() {} });
				rows.push('1\n');
				sources.push(rows);
				signals.push(signal);
				return { kind: 'rows', rows };
			};
			const abort = new AbortController();
			const written = writeArchiveToFile(sample.path('stalled'), toc, stalled, {
				...{ compression, readAhead: 2, signal: abort.signal },
			});
			await Promise.all([
				assert.rejects(written, { name: 'AbortError' }),
				sleep(50).then(() => abort.abort()),
			]);
			const stream = writeArchive(toc, stalled, { compression, readAhead: 2 });
			stream.resume();
			await sleep(50);
			stream.destroy();
			await sleep(50);
			assert.deepEqual(
				sources.map((source) => source.destroyed),
				Array(6).fill(true),
				compression,
			);
			assert.ok(signals.every((signal) => signal.aborted));
		}
		assert.deepEqual(await readdir(sample.folder), files);
	});

	test('an abort before anything was read does not end the process', async () => {
		const { toc } = await decode(original);
		const abort = new AbortController();
		const never: DataSource = () => Promise.reject(new Error('read'));
		const stream = writeArchive(toc, never, { signal: abort.signal });
		abort.abort();
		await sleep(5);
		await assert.rejects(stream.toArray(), { name: 'AbortError' });
	});

	test('an existing file is replaced only by a whole archive', async () => {
		const path = await rewrite('replaced', 'file', {});
		const bytes = await readFile(path);
		const { toc } = await decode(path);
		await assert.rejects(
			writeArchiveToFile(path, toc, () => Promise.reject(new Error('no'))),
			/no/,
		);
		assert.ok((await readFile(path)).equals(bytes));
		assert.equal((await stat(path)).mode & 0o777, 0o600);
		await verifyArchive(createReadStream(path));
	});
});
