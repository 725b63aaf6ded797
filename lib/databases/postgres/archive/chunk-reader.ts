import type { ByteQueue } from './byte-queue';
import { damaged } from './format';

/** pg_dump writes chunks of 4 KiB, or of one row: they are handed on in pieces of about this size. */
const GATHERED_BYTES = 128 * 1024;

/** Chunks of at least this size are not copied. */
const LARGE_BYTES = 32 * 1024;

/** The bytes of one data block, still compressed: chunks with their length before each, until one of length 0. */
export class ChunkReader {
	private left = 0;

	private ended = false;

	/** A block of one small chunk is handed on without a copy, for which more memory would be taken than it needs. */
	private isFirst = true;

	private current: Promise<unknown> = Promise.resolve();

	constructor(
		private readonly queue: ByteQueue,
		/** How to call the block in messages: `the data of public.orders`. */
		readonly what: string,
	) {}

	/** The next bytes, or undefined at the end of the block. One call at a time. */
	next(): Promise<Buffer | undefined> {
		const result = this.read();
		this.current = result;
		return result;
	}

	/** Passes over what is left, whoever was reading before. */
	async skip(): Promise<void> {
		// A decompressor that was given up may still wait for its next bytes.
		await this.current;
		while (!this.ended) {
			if (this.left === 0) {
				if (!this.readLength()) await this.queue.pull(this.what);
			} else {
				const { length } = this.queue.takeBuffered(this.left);
				this.left -= length;
				if (length === 0) await this.queue.pull(this.what);
			}
		}
	}

	async *[Symbol.asyncIterator](): AsyncGenerator<Buffer, void, undefined> {
		for (let bytes = await this.next(); bytes; bytes = await this.next()) yield bytes;
	}

	private async read(): Promise<Buffer | undefined> {
		const { isFirst } = this;
		this.isFirst = false;
		let gathered: Buffer | undefined;
		let filled = 0;
		while (!this.ended) {
			if (this.left === 0) {
				if (!this.readLength()) await this.queue.pull(this.what);
			} else if (this.left >= LARGE_BYTES || (isFirst && this.queue.buffered >= this.left)) {
				if (filled > 0) break;
				const bytes = this.queue.takeBuffered(this.left);
				this.left -= bytes.length;
				if (bytes.length > 0) return bytes;
				await this.queue.pull(this.what);
			} else {
				gathered ??= Buffer.allocUnsafe(Math.min(Math.max(this.queue.buffered, LARGE_BYTES), GATHERED_BYTES));
				if (filled + this.left > gathered.length) break;
				const count = this.queue.copyBuffered(gathered, filled, this.left);
				this.left -= count;
				filled += count;
				if (count === 0) await this.queue.pull(this.what);
			}
		}
		return filled > 0 ? gathered!.subarray(0, filled) : undefined;
	}

	/** Goes to the next chunk, or to the end. False where its length is not here yet. */
	private readLength(): boolean {
		const at = this.queue.offset;
		const length = this.queue.bufferedInt();
		if (length === undefined) return false;
		if (length < 0) throw damaged(`a chunk of ${length} bytes in ${this.what}`, at);
		this.left = length;
		this.ended = length === 0;
		return true;
	}
}
