import type { Readable } from 'node:stream';

import { LifeboatError } from '../../errors';

const MiB = 1024 * 1024;

/** Limits of the S3 API ("Amazon S3 multipart upload limits"). */
export const MAX_PARTS = 10_000;
const MAX_OBJECT_SIZE = 5 * 1024 * 1024 * MiB;

/** Where the size is known, parts needn't grow: small ones leave more of the memory to what else is under way. */
const SMALLEST_PART = 6 * MiB;

/** Where it isn't: parts double every 1,000. */
const FIRST_PART = 8 * MiB;

/** Bytes that an upload may hold in memory, unless a single part is larger. */
const MEMORY = 64 * MiB;

/** Gives the size of the part with a number, from 1 on. */
export type PartSizes = (partNumber: number) => number;

/**
 * Part sizes with which an object fits into 10,000 parts. Where the size is known, all are equal: 6 MiB up to 58 GiB, more
 * beyond. Where it isn't, they double every 1,000 parts, or, where they must be equal, have 64 MiB (610 GiB in all).
 *
 * @throws LifeboatError `FILE_TOO_LARGE` beyond the 5 TiB an object may have.
 */
export function partSizes(size: number | undefined, equal: boolean): PartSizes {
	if (size !== undefined) {
		if (size > MAX_OBJECT_SIZE) {
			throw new LifeboatError('FILE_TOO_LARGE', `The backup has ${size} bytes; S3 takes at most 5 TiB`, {
				hint: 'Split it, for example by database or folder',
			});
		}
		const partSize = Math.max(SMALLEST_PART, Math.ceil(size / MAX_PARTS / MiB) * MiB);
		return () => partSize;
	}
	if (equal) return () => 64 * MiB;
	return (partNumber) => FIRST_PART * 2 ** Math.min(8, Math.floor((partNumber - 1) / 1000));
}

/** How many parts of a size may be in flight. */
export function partsInFlight(partSize: number): number {
	return Math.max(1, Math.min(8, Math.floor(MEMORY / partSize)));
}

/** Keeps apart what the source threw and what the service answered. */
export class SourceFailed extends Error {
	constructor(override readonly cause: unknown) {
		super('The source failed');
	}
}

/** Cuts a stream into parts. */
export class PartReader {
	private readonly iterator: AsyncIterator<unknown>;

	private rest: Buffer | undefined;

	/** Whether the source has ended and all of it was handed out. */
	ended = false;

	constructor(private readonly source: Readable) {
		// Whoever reads learns of it from the iterator; between two reads it must not count as unhandled.
		source.on('error', () => {});
		this.iterator = source[Symbol.asyncIterator]() as AsyncIterator<unknown>;
	}

	/** Fills a buffer; the returned part of it is shorter only at the end of the source. Then, `ended` is right. */
	async fill(buffer: Buffer): Promise<Buffer> {
		let filled = 0;
		for (;;) {
			if (!this.rest) {
				const next = await this.next();
				if (next.done) {
					this.ended = true;
					return buffer.subarray(0, filled);
				}
				this.rest = toBuffer(next.value);
			}
			if (filled === buffer.length && this.rest.length > 0) return buffer;
			const copied = this.rest.copy(buffer, filled);
			filled += copied;
			this.rest = copied === this.rest.length ? undefined : this.rest.subarray(copied);
		}
	}

	private async next(): Promise<IteratorResult<unknown, unknown>> {
		try {
			return await this.iterator.next();
		} catch (error) {
			throw new SourceFailed(error);
		}
	}

	/** Ends the source; a read that waits for it fails. */
	cancel(reason: unknown): void {
		this.source.destroy(reason instanceof Error ? reason : new Error('The upload was ended'));
	}
}

function toBuffer(chunk: unknown): Buffer {
	if (Buffer.isBuffer(chunk)) return chunk;
	if (chunk instanceof Uint8Array) return Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
	if (typeof chunk === 'string') return Buffer.from(chunk);
	throw new LifeboatError('INVALID_OPTION', 'A storage takes a stream of bytes only', {
		hint: 'Report it as a bug',
	});
}
