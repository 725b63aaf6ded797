import { COPY_END, damaged } from './format';

const newline = 0x0a;

/** The end marker as pg_dump writes it, or with fewer empty lines; alone in its line. */
const endMarker = /(^|\n)\\\.\n{0,3}$/;

/**
 * Counts the rows of COPY text: a line each, for newlines inside values are escaped. Searching is faster than looking at each byte
 * where rows are long, and slower where they are short.
 */
export function countRows(bytes: Uint8Array): number {
	const sample = bytes.subarray(0, 4096);
	const isDense = countEach(sample) * 40 > sample.length;
	if (isDense) return countEach(bytes);
	let rows = 0;
	for (let at = bytes.indexOf(newline); at !== -1; at = bytes.indexOf(newline, at + 1)) rows += 1;
	return rows;
}

function countEach(bytes: Uint8Array): number {
	const { length } = bytes;
	let rows = 0;
	for (let i = 0; i < length; i++) rows += bytes[i] === newline ? 1 : 0;
	return rows;
}

/**
 * COPY text without its end marker, as pieces of the chunks it came in.
 *
 * @param what how to call the data in messages. @throws LifeboatError `ARCHIVE_DAMAGED` where the marker is missing.
 */
export async function* withoutEndMarker(
	content: AsyncIterable<Buffer>,
	what: string,
	offset: number,
): AsyncGenerator<Buffer, void, undefined> {
	const held = COPY_END.length + 1;
	let tail: Buffer = Buffer.alloc(0);
	for await (const bytes of content) {
		if (bytes.length <= held) {
			const joined = Buffer.concat([tail, bytes]);
			const ready = joined.subarray(0, Math.max(0, joined.length - held));
			tail = joined.subarray(ready.length);
			if (ready.length > 0) yield ready;
			continue;
		}
		const ready = bytes.subarray(0, bytes.length - held);
		if (tail.length > 0) yield tail;
		yield ready;
		tail = Buffer.from(bytes.subarray(ready.length));
	}
	const end = endMarker.exec(tail.toString('latin1'));
	if (!end) throw damaged(`${what} has no end marker`, offset);
	const last = tail.subarray(0, end.index + end[1]!.length);
	if (last.length > 0) yield last;
}

/** As `withoutEndMarker`; returns the number of rows. */
export async function* copyRows(
	content: AsyncIterable<Buffer>,
	what: string,
	offset: number,
): AsyncGenerator<Buffer, number, undefined> {
	let rows = 0;
	for await (const bytes of withoutEndMarker(content, what, offset)) {
		rows += countRows(bytes);
		yield bytes;
	}
	return rows;
}
