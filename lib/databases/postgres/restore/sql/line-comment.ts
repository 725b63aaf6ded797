import { NEWLINE, RETURN } from './bytes';

/** A pg_dump comment that is looked at is shorter than this: it may name a function with all its arguments. */
const LONGEST_COMMENT = 16_384;

/** A comment from `--` to the end of its line, of which psql knows two: a line feed and a carriage return. */
export class LineComment {
	private bytes: number[] = [];

	begin(): void {
		this.bytes = [];
	}

	/** @param keeps its text may be asked for. @returns where it ends in the chunk, at the end of the line; -1 where it goes on. */
	endIn(chunk: Buffer, from: number, keeps: boolean): number {
		const newline = chunk.indexOf(NEWLINE, from);
		const line = newline === -1 ? chunk.length : newline;
		const before = chunk.subarray(from, line).indexOf(RETURN);
		const stop = before === -1 ? line : from + before;
		if (keeps) {
			for (let at = from; at < stop && this.bytes.length < LONGEST_COMMENT; at++) this.bytes.push(chunk[at]!);
		}
		return stop === chunk.length ? -1 : stop;
	}

	/** Without its dashes, a byte a character. */
	get text(): string {
		return Buffer.from(this.bytes).toString('latin1').trim();
	}
}
