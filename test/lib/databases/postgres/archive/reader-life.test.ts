import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { readArchive } from '../../../../../lib/databases/postgres/archive/reader';
import type { ArchiveToc, TocEntry } from '../../../../../lib/databases/postgres/archive/types';
import { verifyArchive } from '../../../../../lib/databases/postgres/archive/verify';
import { writeArchive } from '../../../../../lib/databases/postgres/archive/writer';

import { pieces } from './fixture';

const entry = (dumpId: number): TocEntry => ({
	...{ dumpId, tag: `t${dumpId}`, hasData: true, catalogId: { tableOid: 0, oid: 1 }, desc: 'TABLE DATA' },
	...{
		section: 'data',
		defn: null,
		dropStmt: null,
		copyStmt: 'COPY t (a) FROM stdin;\n',
		namespace: 'public',
	},
	...{ tablespace: null, tableam: null, relkind: '', owner: 'me', withOids: false, dependencies: [] },
});
const toc: ArchiveToc = {
	...{
		version: 14,
		compression: 'none',
		database: 'd',
		serverVersion: '18',
		dumpVersion: '18',
		textEncoding: 'utf8',
	},
	createdAt: { year: 2026, month: 1, day: 1, hour: 0, minute: 0, second: 0, isDaylightSaving: false },
	entries: [entry(1), entry(2)],
};
const archive = async (compression: 'none' | 'gzip' | 'zstd') => {
	const rows = async () => ({
		kind: 'rows' as const,
		rows: pieces(Buffer.alloc(300_006, 'some row\n'.repeat(100))),
	});
	return Buffer.concat((await writeArchive(toc, rows, { compression }).toArray()) as Buffer[]);
};

for (const compression of ['none', 'gzip', 'zstd'] as const) {
	test(`${compression}: an abort ends waiting for a source, wherever it stalls, and releases it`, async () => {
		const bytes = await archive(compression);
		for (const length of [0, 30, 300, 400, bytes.length - 1]) {
			const source = new Readable({ read() {} });
			source.push(bytes.subarray(0, length));
			const abort = new AbortController();
			const reading = verifyArchive(source, { signal: abort.signal });
			await Promise.all([
				assert.rejects(reading, { name: 'AbortError' }),
				sleep(20).then(() => abort.abort()),
			]);
			assert.ok(source.destroyed);
		}
	});

	test(`${compression}: what a source fails with passes unchanged`, async () => {
		const bytes = await archive(compression);
		for (const length of [0, 300, bytes.length - 1, bytes.length]) {
			const failure = new Error('connection lost');
			const source = async function* () {
				yield bytes.subarray(0, length);
				throw failure;
			};
			await assert.rejects(verifyArchive(source()), (error) => error === failure);
		}
	});

	test(`${compression}: a reader that stops early releases its source`, async () => {
		const bytes = await archive(compression);
		for (const stop of ['before', 'between', 'within', 'error'] as const) {
			const source = Readable.from(pieces(bytes, 1000), { objectMode: false });
			const reader = await readArchive(source);
			const reading = async () => {
				if (stop === 'before') return reader.close();
				for await (const block of reader.blocks()) {
					if (stop === 'error') throw new Error('the database is full');
					if (stop === 'within' && block.kind === 'table') {
						for await (const chunk of block.rows()) if (chunk.length > 0) break;
					}
					return;
				}
			};
			await (stop === 'error' ? assert.rejects(reading(), /database is full/) : reading());
			await sleep(5);
			assert.ok(source.destroyed, stop);
			await reader.close();
		}
	});
}

test('what can be read once says so', async () => {
	const reader = await readArchive(pieces(await archive('none')));
	const blocks = reader.blocks();
	assert.throws(() => reader.blocks(), /read once/);
	const { value: block } = await blocks.next();
	assert.ok(block?.kind === 'table');
	block.rows();
	assert.throws(() => block.content(), /read once/);
	await reader.close();
});
