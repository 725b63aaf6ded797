import type { Client } from 'pg';
import type { Readable } from 'node:stream';

import type { EngineContext } from '../../../engine';
import { readArchive } from '../../archive/reader';
import type { SelectedEntry, TableDataBlock, TocEntry } from '../../archive/types';
import { quoteIdentifier } from '../../identifiers';

import { frozen } from '../script/created-tables';
import type { Connections } from '../builds/connections';
import type { LoadedRows } from '../row-counts';
import { nameAt, tokensOf } from '../sql/statement';
import { copyRaw, runRaw } from '../script/wire';

export interface LoadTables {
	/** What is restored. */
	selected: readonly SelectedEntry[];
	/** Opens the archive from its start: each connection reads it for itself, and passes over what others load. */
	open: () => Promise<Readable>;
	connections: Connections;
	loaded: LoadedRows;
	/** Turns what the server refused into an error to throw. */
	failureOf: (error: unknown, statement: { sql: Buffer }) => unknown;
	/** Told of each table whose rows are in, and committed. */
	onLoaded: (entry: TocEntry) => Promise<void>;
	/** Told when one connection less is needed than before. */
	onFree: () => void;
	context: EngineContext;
}

/** The entries whose rows `loadTables` can load: those that are COPY text. */
export function tablesToLoad(selected: readonly SelectedEntry[]): TocEntry[] {
	return selected.flatMap(({ entry, data }) =>
		data && entry.hasData && entry.copyStmt && entry.desc === 'TABLE DATA' ? [entry] : [],
	);
}

/**
 * Loads the rows of several tables at a time, and reads the archive to its end. The tables must be there, and committed.
 *
 * @returns the archive's size in bytes. @throws LifeboatError `ARCHIVE_DAMAGED`, and what `failureOf` makes of what the server refuses.
 */
export async function loadTables(tables: readonly TocEntry[], job: LoadTables): Promise<number> {
	const waiting = new Set(tables.map(({ dumpId }) => dumpId));
	const created = new Set(
		job.selected.flatMap(({ entry, schema }) =>
			schema && entry.desc === 'TABLE' && !entry.defn?.includes('PARTITION BY') ? [keyOf(entry)] : [],
		),
	);
	const stop = new AbortController();
	let size = 0;
	const count = Math.min(job.connections.limit, tables.length);
	job.connections.reserved += count;
	const workers = Array.from({ length: count }, async () => {
		let isReserved = true;
		const free = () => {
			if (isReserved) job.connections.reserved -= 1;
			isReserved = false;
		};
		const source = await job.open();
		source.on('error', () => undefined);
		const end = () => source.destroy();
		const signals = [stop.signal, ...(job.context.signal ? [job.context.signal] : [])];
		for (const signal of signals) signal.addEventListener('abort', end);
		const archive = await readArchive(source);
		try {
			let isLast = false;
			for await (const block of archive.blocks()) {
				stop.signal.throwIfAborted();
				// Blocks are taken in the order of the file, so that none lies behind whoever looks for the next one.
				if (block.kind === 'table' && waiting.delete(block.entry.dumpId)) {
					// Who has the last one reads on: only at the end is it certain that the archive is whole.
					isLast = waiting.size === 0;
					const encoding = archive.toc.textEncoding === 'utf8' ? 'utf8' : 'latin1';
					await job.connections.use(async (client) => loadTable(client, block, encoding, created, job));
					await job.onLoaded(block.entry);
				} else await block.skip();
				if (waiting.size > 0) continue;
				free();
				job.onFree();
				if (!isLast) break;
			}
			size = Math.max(size, archive.position);
		} finally {
			free();
			for (const signal of signals) signal.removeEventListener('abort', end);
			source.destroy();
			await archive.close().catch(() => undefined);
		}
	});
	const all = workers.map(async (worker) =>
		worker.catch((error: unknown) => {
			stop.abort(error);
			throw error;
		}),
	);
	try {
		await Promise.all(all);
		return size;
	} finally {
		await Promise.allSettled(all);
	}
}

async function loadTable(
	client: Client,
	block: TableDataBlock,
	encoding: 'utf8' | 'latin1',
	created: ReadonlySet<string>,
	{ loaded, failureOf, context }: LoadTables,
): Promise<void> {
	const { entry } = block;
	const statement = Buffer.from(entry.copyStmt!.trim().replace(/;$/, ''), encoding);
	const table = nameAt(tokensOf(statement, 8), 1);
	const display = `${table?.schema ?? ''}.${table?.name ?? entry.tag}`;
	// Rows of a partitioned table's root go into partitions that others may be loading.
	const isOwn = created.has(keyOf(entry)) && !entry.defn?.startsWith('-- load via partition root');
	let sql: Buffer = statement;
	let bytes = 0;
	try {
		await runRaw(client, [Buffer.from('BEGIN')]);
		if (isOwn) {
			const name = [entry.namespace!, entry.tag].map(quoteIdentifier).join('.');
			sql = Buffer.from(`TRUNCATE ONLY ${name}`, encoding);
			await runRaw(client, [sql]);
			sql = frozen(statement);
		}
		const rows = await copyRaw(client, sql, block.uncountedRows(), (count) => {
			bytes += count;
			context.onProgress?.({
				step: `rows of ${display}`,
				bytes: block.offset + bytes,
				tablesDone: loaded.tables,
			});
		});
		await runRaw(client, [Buffer.from('COMMIT')]);
		loaded.add(table?.schema, table?.name ?? entry.tag, rows, bytes);
	} catch (error) {
		throw failureOf(error, { sql });
	}
}

function keyOf({ namespace, tag }: TocEntry): string {
	return JSON.stringify([namespace, tag]);
}
