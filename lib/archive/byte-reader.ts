import type { Readable } from 'node:stream';

import { LifeboatError } from '../errors';

/** Takes bytes from a stream in the portions that a format asks for. */
export class ByteReader {
	private readonly iterator: AsyncIterator<Buffer>;

	private chunk: Buffer = Buffer.alloc(0);

	private consumed = 0;

	constructor(private readonly source: Readable) {
		this.iterator = source[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
	}

	/** Bytes taken so far. */
	get offset(): number {
		return this.consumed;
	}

	/**
	 * Exactly so many bytes, or undefined at the end of the stream (always, if none are asked for).
	 *
	 * @throws LifeboatError `INCOMPLETE` if the stream ends within them.
	 */
	async read(length: number): Promise<Buffer | undefined> {
		const parts: Buffer[] = [];
		let missing = length;
		while (missing > 0) {
			const part = await this.take(missing);
			if (!part) {
				if (parts.length === 0) return undefined;
				throw cutShort();
			}
			parts.push(part);
			missing -= part.length;
		}
		return parts.length > 1 ? Buffer.concat(parts) : parts[0];
	}

	/** The next so many bytes, as they come. @throws LifeboatError `INCOMPLETE` if the stream ends within them. */
	async *stream(length: number): AsyncGenerator<Buffer, void, undefined> {
		let missing = length;
		while (missing > 0) {
			const part = await this.take(missing);
			if (!part) throw cutShort();
			missing -= part.length;
			yield part;
		}
	}

	/** All that is left. */
	async *rest(): AsyncGenerator<Buffer, void, undefined> {
		for (;;) {
			const part = await this.take(Number.MAX_SAFE_INTEGER);
			if (!part) return;
			yield part;
		}
	}

	/** Passes over bytes until so many have been taken. @throws LifeboatError `INCOMPLETE`. */
	async skipTo(offset: number): Promise<void> {
		while (this.consumed < offset) {
			if (!(await this.take(offset - this.consumed))) throw cutShort();
		}
	}

	/** Ends the reading; a stream that was not read to its end is destroyed. */
	async close(): Promise<void> {
		await this.iterator.return?.();
		this.source.destroy();
	}

	private async take(most: number): Promise<Buffer | undefined> {
		while (this.chunk.length === 0) {
			const next = await this.iterator.next();
			if (next.done) return undefined;
			this.chunk = next.value;
		}
		const part = this.chunk.subarray(0, most);
		this.chunk = this.chunk.subarray(part.length);
		this.consumed += part.length;
		return part;
	}
}

function cutShort(): LifeboatError {
	return new LifeboatError('INCOMPLETE', 'The data is cut short', {
		hint: 'Do not use this copy. Take the same backup from another destination, or an older one',
	});
}
