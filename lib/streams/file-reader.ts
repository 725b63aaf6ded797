import type { FileHandle } from 'node:fs/promises';
import { Readable } from 'node:stream';

import { BufferPool, lends } from './recycling';

/** Bytes read at a time. */
const READ_SIZE = 128 * 1024;

/** A part of a file: first and last byte, counted from 0; without them from where it is opened, to its end. */
export interface FileRange {
	start?: number | undefined;
	end?: number | undefined;
}

/** Reads an open file, and closes it. Whoever reads all of it in a chain gives its memory back, so that little is needed. */
export class FileReader extends Readable {
	private readonly pool = new BufferPool(READ_SIZE);

	/** Null where the file is read on from: what isn't on a disk has no places. */
	private position: number | null;

	private left: number;

	constructor(
		private readonly handle: FileHandle,
		{ start, end = Infinity }: FileRange = {},
	) {
		super({ highWaterMark: 2 * READ_SIZE });
		this.position = start ?? null;
		this.left = end - (start ?? 0) + 1;
		lends(this, this.pool);
	}

	override _read(): void {
		this.next().then(
			(piece) => {
				if (!this.destroyed) this.push(piece);
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

	override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
		// Waits for a read that is under way.
		this.handle.close().then(
			() => callback(error),
			(failure: Error) => callback(error ?? failure),
		);
	}
}
