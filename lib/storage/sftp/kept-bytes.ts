import type { Readable } from 'node:stream';

import { PartReader } from '../parts';

/** Milliseconds after which a block is written again that is right: whoever looks sees that the upload goes on. */
const SIGN_OF_LIFE = 60_000;

/** The bytes that a broken upload has left, read back beside the source. */
export class KeptBytes {
	private readonly reader: PartReader;

	private last: Promise<unknown> = Promise.resolve();

	private written = -Infinity;

	private over = false;

	constructor(private readonly stream: Readable) {
		this.reader = new PartReader(stream);
	}

	/**
	 * Whether a block is there already. Asked for one block after the other, from the start. From the first on that differs, can't be
	 * read or isn't there, none is.
	 */
	async has(data: Buffer): Promise<boolean> {
		const compared = this.last.then(() => this.compare(data));
		this.last = compared;
		return await compared;
	}

	/** No more is needed. */
	close(): void {
		this.over = true;
		this.stream.destroy();
	}

	private async compare(data: Buffer): Promise<boolean> {
		if (this.over) return false;
		let there: Buffer;
		try {
			there = await this.reader.fill(Buffer.allocUnsafe(data.length));
		} catch {
			// Whatever kept it from being read, sending the bytes again is right.
			this.close();
			return false;
		}
		if (!there.equals(data)) {
			this.close();
			return false;
		}
		if (performance.now() - this.written < SIGN_OF_LIFE) return true;
		this.written = performance.now();
		return false;
	}
}
