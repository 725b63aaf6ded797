import { countNewlines } from './newlines';

const byteOrderMark = Buffer.from([0xef, 0xbb, 0xbf]);

/** The bytes of a script, a chunk of its source at a time, and the place up to which they were read. */
export class ScriptText {
	/** Bytes of the script consumed so far. */
	position = 0;

	chunk: Buffer = Buffer.alloc(0);

	/** The next byte of the chunk. */
	index = 0;

	private readonly source: AsyncIterator<Buffer | Uint8Array>;

	/** Line on which `chunk[counted]` lies. */
	private line = 1;

	private counted = 0;

	private atStart = true;

	constructor(source: AsyncIterable<Buffer | Uint8Array>) {
		this.source = source[Symbol.asyncIterator]();
	}

	/** The chunk is consumed: `more` is to be called. */
	get isUsedUp(): boolean {
		return this.index >= this.chunk.length;
	}

	/** Takes the next chunk of the source behind `carry`. @returns false at the end. */
	async more(carry?: Buffer): Promise<boolean> {
		for (;;) {
			const result = await this.source.next();
			if (result.done) return false;
			const { value } = result;
			// The very piece that the source gave: it may want it back.
			let next = Buffer.isBuffer(value) ? value : Buffer.from(value.buffer, value.byteOffset, value.length);
			if (next.length === 0) continue;
			if (carry && carry.length > 0) next = Buffer.concat([carry, next]);
			this.lineAt(this.index);
			if (this.atStart) {
				// Some editors put a byte order mark in front of UTF-8; psql skips it too.
				if (next.length < 3 && next.every((byte, at) => byte === byteOrderMark[at])) {
					carry = next;
					continue;
				}
				if (next.subarray(0, 3).equals(byteOrderMark)) {
					next = next.subarray(3);
					this.position = 3;
				}
				this.atStart = false;
				carry = undefined;
				if (next.length === 0) continue;
			}
			this.chunk = next;
			this.index = 0;
			this.counted = 0;
			return true;
		}
	}

	/** Consumes the bytes before an index of the chunk. */
	advance(to: number): void {
		this.position += to - this.index;
		this.index = to;
	}

	/** The line of a byte of the chunk, which lies behind all that were asked for before; the first is 1. */
	lineAt(index: number): number {
		if (index > this.counted) {
			this.line += countNewlines(this.chunk, this.counted, index);
			this.counted = index;
		}
		return this.line;
	}

	/** The line up to which lines were counted; `lineAt` goes on. */
	get lastLine(): number {
		return this.line;
	}
}
