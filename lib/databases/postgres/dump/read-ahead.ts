import { Readable } from 'node:stream';

import { abortable } from '../../../streams/chain';

import type { DumpedTable } from './dump-session';
import { incomplete } from './incomplete';
import type { OpenRows } from './row-readers';

/** How many bytes of a table wait until it is its turn, beside what its connection holds. */
const highWaterMark = 1024 * 1024;

/** Rows of tables that are taken in order. */
export interface OrderedRows {
	/** @param table the one that comes next. */
	of(table: DumpedTable): AsyncIterable<Buffer>;
	/** Releases what was opened and not taken. */
	end(): void;
}

/** Opens tables before their turn, as many as can be read at a time; each is read as far as its buffers go. */
export function readAhead(tables: readonly DumpedTable[], rows: OpenRows, signal: AbortSignal): OrderedRows {
	if (rows.atATime === 1) return { of: (table) => rows.of(table), end: () => undefined };
	const waiting = [...tables].reverse();
	const opened: { table: DumpedTable; stream: Readable }[] = [];
	const open = (table: DumpedTable) => {
		const stream = abortable(Readable.from(rows.of(table), { objectMode: false, highWaterMark }), signal);
		// It starts to be filled, though nobody takes anything yet.
		stream.read(0);
		opened.push({ table, stream });
	};
	return {
		of(table) {
			while (opened.length < rows.atATime && waiting.length > 0) open(waiting.pop()!);
			const first = opened.shift();
			if (first?.table !== table)
				throw incomplete('tables were read in another order than they were written');
			return first.stream as AsyncIterable<Buffer>;
		},
		end() {
			for (const { stream } of opened) stream.destroy();
		},
	};
}
