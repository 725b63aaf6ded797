import { Readable } from 'node:stream';

import { LifeboatError } from '../../../errors';
import { abortable } from '../../../streams/chain';

import { compressionLevels } from './compression';
import { prepareBlock, type PreparedBlock } from './data-writer';
import {
	NEWEST_VERSION,
	VERSION_WITH_COMPRESSION_ALGORITHM,
	VERSION_WITH_RELKIND,
	VERSION_WITH_TABLE_ACCESS_METHOD,
} from './format';
import { separateLargeObjects } from './large-objects';
import { encodeEntries, encodeHeader, type WrittenFormat } from './toc-writer';
import type { ArchiveToc, TocEntry } from './types';
import type { DataSource, WriteArchiveOptions } from './written-types';

/**
 * An archive as a stream of bytes: header, TOC (without offsets, as pg_dump writes it to a pipe), then the data block of each
 * entry with `hasData`, in TOC order. The TOC is read when the stream starts; it must not change afterwards.
 *
 * Written is the oldest version of the format that holds what is needed: 1.14 for none and gzip (read by pg_restore 12 and
 * newer), 1.15 for zstd (16 and newer), 1.16 for access methods of partitioned tables (17 and newer). Below 1.16 large objects
 * are written one entry each, see `separateLargeObjects`.
 *
 * Whatever `data` or a source throws destroys the stream, and a stream that is destroyed aborts the signal that `data` was given.
 *
 * @throws LifeboatError `INVALID_OPTION`; the stream fails with `INCOMPLETE` where rows end in the middle of one.
 */
export function writeArchive(toc: ArchiveToc, data: DataSource, options: WriteArchiveOptions = {}): Readable {
	const plan = planArchive(toc, options);
	const stream = new ArchiveStream((signal) => archiveBytes(plan, data, options, signal));
	return abortable(stream, options.signal);
}

/** What is going to be written. */
export interface ArchivePlan {
	toc: ArchiveToc;
	format: WrittenFormat;
}

/** Chooses version and level. @throws LifeboatError `INVALID_OPTION` */
export function planArchive(
	toc: ArchiveToc,
	{ compression = 'gzip', level, version }: WriteArchiveOptions,
): ArchivePlan {
	const needed = Math.max(
		compression === 'zstd' ? VERSION_WITH_COMPRESSION_ALGORITHM : VERSION_WITH_TABLE_ACCESS_METHOD,
		// The access method of a partitioned table is applied in another way than a table's: before 1.16 it would be lost.
		toc.entries.some((entry) => entry.relkind === 'p' && entry.tableam) ? VERSION_WITH_RELKIND : 0,
	);
	const chosen = version ?? needed;
	if (!Number.isInteger(chosen) || chosen < needed || chosen > NEWEST_VERSION) {
		throw new LifeboatError('INVALID_OPTION', `Archive version 1.${chosen} can't be written for this dump`, {
			hint: `Choose 1.${needed} to 1.${NEWEST_VERSION}`,
		});
	}
	return {
		toc: chosen < VERSION_WITH_RELKIND ? separateLargeObjects(toc) : toc,
		format: { version: chosen, compression, level: compression === 'none' ? 0 : levelOf(compression, level) },
	};
}

function levelOf(compression: 'gzip' | 'zstd', level: number | undefined): number {
	const { min, max, default: usual } = compressionLevels[compression];
	const chosen = level ?? usual;
	if (Number.isInteger(chosen) && chosen >= min && chosen <= max) return chosen;
	throw new LifeboatError('INVALID_OPTION', `${chosen} is not a level of ${compression}`, {
		hint: `Choose a whole number from ${min} to ${max}; ${usual} is the default`,
	});
}

/** @param onBlock told where each data block starts, in bytes from the start of the archive. */
export async function* archiveBytes(
	{ toc, format }: ArchivePlan,
	data: DataSource,
	{ readAhead = 0 }: WriteArchiveOptions,
	signal: AbortSignal,
	onBlock?: (dumpId: number, offset: number) => void,
): AsyncGenerator<Uint8Array, void, undefined> {
	let offset = 0;
	const counted = (bytes: Uint8Array) => {
		offset += bytes.length;
		return bytes;
	};
	yield counted(encodeHeader(toc, format));
	yield counted(encodeEntries(toc, format.version));
	const prepare = (entry: TocEntry) => {
		const prepared = prepareBlock(entry, data, format, signal);
		// It is awaited when its turn comes; a failure before that must not end the process.
		prepared.catch(() => undefined);
		return { entry, prepared };
	};
	const waiting = toc.entries.filter((entry) => entry.hasData);
	const ahead: { entry: TocEntry; prepared: Promise<PreparedBlock> }[] = [];
	try {
		for (let next = 0, written = 0; written < waiting.length; written++) {
			while (next < waiting.length && next <= written + readAhead) ahead.push(prepare(waiting[next++]!));
			const block = await ahead[0]!.prepared;
			onBlock?.(ahead[0]!.entry.dumpId, offset);
			for await (const bytes of block.bytes()) yield counted(bytes);
			ahead.shift();
		}
	} finally {
		for (const { prepared } of ahead) {
			prepared.then(
				(block) => block.destroy(),
				() => undefined,
			);
		}
	}
}

/** A generator's bytes as a stream. Destroying it aborts what the generator waits for. */
export class ArchiveStream extends Readable {
	private readonly abort = new AbortController();

	private readonly bytes: AsyncGenerator<Uint8Array, void, undefined>;

	constructor(start: (signal: AbortSignal) => AsyncGenerator<Uint8Array, void, undefined>) {
		super();
		this.bytes = start(this.abort.signal);
	}

	override _read(): void {
		this.bytes.next().then(
			({ value, done }) => this.push(done ? null : value),
			(error: unknown) => this.destroy(error instanceof Error ? error : new Error(String(error))),
		);
	}

	override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
		this.abort.abort();
		// Not awaited: a source that ignores the signal must not keep the stream from closing.
		this.bytes.return().catch(() => undefined);
		callback(error);
	}
}
