import type { FileHandle } from 'node:fs/promises';
import { Readable } from 'node:stream';

import { BufferPool } from './buffer-pool';
import { offer, type SecondReading } from './neighbours';

/** Bytes read at a time: each read is another thread's work, and waiting for it costs more than the bytes do when they are few. */
const READ_SIZE = 256 * 1024;

/** A part of a file: first and last byte, counted from 0; without them from where it stands, to its end. */
export interface FileRange {
	start?: number | undefined;
	end?: number | undefined;
}

/**
 * Reads an open file, and closes it. Whoever reads it in a chain gives its memory back, so that little is needed, and may read it a second time
 * if its start is given: what isn't on a disk has no places to go back to.
 */
export class FileReader extends Readable {
	private readonly pool = new BufferPool(READ_SIZE);

	private position: number | null;

	private left: number;

	private isHeld = false;

	/** A read that is under way, of what is asked for next. */
	private ahead: Promise<Buffer | null> | undefined;

	constructor(
		private readonly handle: FileHandle,
		private readonly range: FileRange = {},
	) {
		super({ highWaterMark: 2 * READ_SIZE });
		const { start, end = Infinity } = range;
		this.position = start ?? null;
		this.left = end - (start ?? 0) + 1;
		offer(this, { pool: this.pool, ...(start !== undefined && { readAgain: () => this.readAgain() }) });
	}

	override _read(): void {
		(this.ahead ?? this.next()).then(
			(piece) => {
				if (this.destroyed) return;
				// Begun before the piece is handed on: a reader that works on it at once would let no more begin until it is done with it.
				this.ahead = piece ? this.next() : undefined;
				// It is awaited by the next `_read`, unless reading is given up.
				this.ahead?.catch(() => {});
				this.push(piece);
			},
			(error: Error) => this.destroy(error),
		);
	}

	private async next(): Promise<Buffer | null> {
		const most = Math.min(READ_SIZE, this.left);
		if (most <= 0) return null;
		const buffer = this.pool.take(most);
		const { bytesRead } = await this.handle.read(buffer, 0, most, this.position);
		if (bytesRead === 0) return null;
		if (this.position !== null) this.position += bytesRead;
		this.left -= bytesRead;
		return this.pool.lend(buffer, bytesRead);
	}

	private readAgain(): SecondReading {
		this.isHeld = true;
		return {
			read: () => readAhead(this.handle, this.range),
			release: async () => {
				this.isHeld = false;
				if (this.destroyed) await this.handle.close();
			},
		};
	}

	override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
		// Waits for a read that is under way.
		(this.isHeld ? Promise.resolve() : this.handle.close()).then(
			() => callback(error),
			(failure: Error) => callback(error ?? failure),
		);
	}
}

/**
 * Reads a part of an open file, which stays open. The next block is read while one is used: it is good until the next one is asked for.
 *
 * @param size of a block, in bytes.
 */
export async function* readAhead(
	handle: FileHandle,
	{ start = 0, end = Infinity }: FileRange = {},
	size = READ_SIZE,
): AsyncGenerator<Buffer, void, undefined> {
	let [block, other] = [Buffer.allocUnsafeSlow(size), Buffer.allocUnsafeSlow(size)];
	let position = start;
	const read = async (into: Buffer) => {
		const most = Math.min(size, end - position + 1);
		return most > 0 ? (await handle.read(into, 0, most, position)).bytesRead : 0;
	};
	for (let reading = read(block); ;) {
		const bytes = await reading;
		if (bytes === 0) return;
		position += bytes;
		reading = read(other);
		// It is awaited above, unless reading is given up.
		reading.catch(() => {});
		yield block.subarray(0, bytes);
		[block, other] = [other, block];
	}
}
