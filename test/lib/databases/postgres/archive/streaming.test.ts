import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';

import type { ArchiveToc, TocEntry } from '../../../../../lib/databases/postgres/archive/types';
import { verifyArchive } from '../../../../../lib/databases/postgres/archive/verify';
import { writeArchive } from '../../../../../lib/databases/postgres/archive/writer';

const MiB = 1024 * 1024;

const entry = (dumpId: number, tag: string): TocEntry => ({
	...{
		dumpId,
		tag,
		hasData: true,
		catalogId: { tableOid: 0, oid: dumpId },
		desc: 'TABLE DATA',
		section: 'data',
	},
	...{
		defn: null,
		dropStmt: null,
		copyStmt: `COPY ${tag} (t) FROM stdin;\n`,
		namespace: 'public',
		tablespace: null,
	},
	...{ tableam: null, relkind: '', owner: 'me', withOids: false, dependencies: [] },
});
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
	entries: [entry(1, 'small'), entry(2, 'large'), entry(3, 'last')],
};

describe('large archives', { timeout: 120_000 }, () => {
	for (const [compression, size] of [
		['none', 1024],
		['gzip', 256],
		['zstd', 512],
	] as const) {
		test(`${size} MiB of rows pass through writer and reader in constant memory: ${compression}`, async () => {
			const row = `${'a row of some words and numbers 0123456789 '.repeat(3)}\n`;
			const piece = Buffer.from(row.repeat(Math.floor(65_536 / row.length)));
			const pieceRows = piece.length / row.length;
			let highest = 0;
			const rows = async function* (pieces: number) {
				for (let i = 0; i < pieces; i++) {
					// As a socket does: without turns of the event loop V8 keeps what is long done with.
					if (i % 16 === 0) await nextTurn();
					if (i % 64 === 0) highest = Math.max(highest, process.memoryUsage().rss);
					yield piece;
				}
			};
			const pass = async (megabytes: number) => {
				const count = Math.floor((megabytes * MiB) / piece.length);
				const stream = writeArchive(
					toc,
					async ({ tag }) => ({ kind: 'rows', rows: rows(tag === 'large' ? count : 1) }),
					{ compression, level: compression === 'none' ? undefined : 1, readAhead: 2 },
				);
				const { tables } = await verifyArchive(stream);
				assert.deepEqual(
					tables.map(({ name, rows: found, bytes }) => [name, found, bytes]),
					[
						['small', pieceRows, piece.length + 5],
						['large', pieceRows * count, piece.length * count + 5],
						['last', pieceRows, piece.length + 5],
					],
				);
			};
			// What the engine takes for itself, once, is not what this is about.
			await pass(64);
			const before = highest;
			await pass(size);
			// Far below the size of the rows, above the collector's laziness.
			const limit = 80 * MiB;
			assert.ok(highest - before < limit, `${Math.round((highest - before) / MiB)} MiB more`);
		});
	}

	test('a hundred thousand tables are written and read in a time that grows with their number alone', async () => {
		/** CPU seconds of this thread, which other processes do not lengthen. */
		const passed = async (count: number): Promise<number> => {
			const entries = Array.from({ length: count }, (_, i) => ({
				...entry(i + 1, `table ${i}`),
				hasData: i % 50 === 0,
			}));
			const started = process.threadCpuUsage();
			const many = writeArchive(
				{ ...toc, entries },
				async () => ({
					kind: 'rows',
					rows: (async function* () {
						yield Buffer.from('1\n');
					})(),
				}),
				{ readAhead: 4 },
			);
			const verified = await verifyArchive(many);
			const { user, system } = process.threadCpuUsage(started);
			assert.equal(verified.toc.entries.length, count);
			assert.equal(verified.tables.length, count / 50);
			return (user + system) / 1e6;
		};
		await passed(5000);
		const few = Math.min(await passed(10_000), await passed(10_000));
		const many = await passed(100_000);
		// Ten times as many: what is quadratic takes a hundred times as long.
		assert.ok(many < 35 * few, `${few} s for 10,000, ${many} s for 100,000`);
	});
});
