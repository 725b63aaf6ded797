import { Readable } from 'node:stream';

import type { Production } from '../../../artifact/produce';
import type { EngineContext } from '../../engine';
import { copyStatement } from '../archive/skeleton';
import { readArchive } from '../archive/reader';
import type { ArchiveToc, ByteSource, TocEntry } from '../archive/types';
import { writeArchive } from '../archive/writer';
import type { EntryData } from '../archive/written-types';

import type { DumpedTable } from './dump-session';
import { incomplete } from './incomplete';
import { readLargeObject } from './large-objects';
import { usualZstdLevel } from './options';
import { readAhead } from './read-ahead';
import { openRows } from './row-readers';
import { runDump, type DumpSettings, type RunningDump } from './run-dump';
import { sequenceValue } from './sequence-values';

/**
 * Starts a dump as pg_dump's custom archive. In memory there is its table of contents (the schema), never the data.
 *
 * pg_dump writes an archive without rows; it is read, and written anew with the data, from the same transaction.
 *
 * @throws as `runDump`.
 */
export async function startArchiveDump(settings: DumpSettings, context: EngineContext): Promise<Production> {
	const { archiveCompression: compression = 'gzip', archiveLevel } = settings.options;
	const level = archiveLevel ?? (compression === 'zstd' ? usualZstdLevel : undefined);
	return runDump(
		settings,
		'archive',
		async function* (dump) {
			const { toc, tables, contents, objects } = await readSkeleton(dump, settings.connection.database);
			const rows = await openRows(dump);
			// Where data is compressed the writer opens blocks ahead, so that they are compressed ahead as well.
			const isCompressed = compression !== 'none';
			const ahead = readAhead(dump.session.dumpedTables, rows, dump.signal);
			const data = async (entry: TocEntry): Promise<EntryData> => {
				const table = tables.get(entry.dumpId);
				if (table) return { kind: 'rows', rows: isCompressed ? rows.of(table) : ahead.of(table) };
				const content = contents.get(entry.dumpId);
				if (content) return { kind: 'content', content: Readable.from(content) };
				return { kind: 'large-objects', objects: largeObjects(dump, objects.get(entry.dumpId) ?? []) };
			};
			const blocksAhead = isCompressed ? rows.atATime - 1 : 0;
			const writing = { compression, level, signal: dump.signal, readAhead: blocksAhead };
			try {
				yield* writeArchive(toc, data, writing) as AsyncIterable<Buffer>;
			} finally {
				rows.end();
				ahead.end();
			}
		},
		context,
	);
}

interface Skeleton {
	toc: ArchiveToc;
	/** The tables whose rows are to be read, by the number of their entry. */
	tables: Map<number, DumpedTable>;
	/** Data that pg_dump has written itself. */
	contents: Map<number, Buffer[]>;
	/** The OIDs of the large objects that belong into an entry. */
	objects: Map<number, number[]>;
}

async function readSkeleton(dump: RunningDump, database: string): Promise<Skeleton> {
	// libpq only names the database in the archive by this.
	const name = database.replaceAll(/[\\']/g, '\\$&');
	const archive = await readArchive(dump.output(['-Fc', '-Z0', `--dbname=dbname='${name}'`]));
	const { toc } = archive;
	const tables: Skeleton['tables'] = new Map();
	const contents: Skeleton['contents'] = new Map();
	const text = (bytes: string) => Buffer.from(bytes, 'latin1').toString(toc.textEncoding);
	const objects: Skeleton['objects'] = new Map();
	let next = 0;
	for await (const block of archive.blocks()) {
		const { entry } = block;
		if (block.kind === 'large-objects') {
			const oids: number[] = [];
			for await (const { oid } of block.objects()) oids.push(oid);
			objects.set(entry.dumpId, oids);
			continue;
		}
		const content: Buffer[] = [];
		for await (const bytes of block.content()) content.push(bytes);
		if (entry.desc !== 'TABLE DATA') {
			contents.set(entry.dumpId, content);
			continue;
		}
		const table = dump.session.dumpedTables[next++];
		if (!table || entry.tag !== text(table.nameBytes)) {
			throw incomplete('pg_dump read other tables than it wrote');
		}
		const target = dump.session.setTarget(table, Buffer.concat(content));
		entry.copyStmt = copyStatement(text(target.sql), text(table.columns));
		tables.set(entry.dumpId, table);
	}
	if (next !== dump.session.dumpedTables.length) throw incomplete('pg_dump wrote fewer tables than it read');
	for (const entry of toc.entries) delete entry.dataOffset;
	dump.sequences = toc.entries
		.filter(({ desc }) => desc === 'SEQUENCE SET')
		.map(({ tag, defn }) => {
			const value = sequenceValue(Buffer.from(defn ?? '', toc.textEncoding).toString('latin1'));
			if (!value) throw incomplete(`the value of sequence ${tag} was not found`);
			return value;
		});
	return { toc, tables, contents, objects };
}

async function* largeObjects(
	dump: RunningDump,
	oids: number[],
): AsyncGenerator<{ oid: number; content: ByteSource }> {
	for (const oid of oids) yield { oid, content: readLargeObject(dump.client, oid) };
}
