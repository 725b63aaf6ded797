import type { Readable } from 'node:stream';

import { LifeboatError } from '../errors';
import type { GiveBack } from '../streams/buffer-pool';
import { acceptOffer } from '../streams/neighbours';

const MiB = 1024 * 1024;

/** Bytes that an upload may hold in memory, unless a single part is larger. */
const MEMORY = 64 * MiB;

/** Gives the size of the part with a number, from 1 on. */
export type PartSizes = (partNumber: number) => number;

/** How many parts of a size may be in flight. */
export function partsInFlight(partSize: number): number {
	return Math.max(1, Math.min(8, Math.floor(MEMORY / partSize)));
}

/**
 * Sends a stream in parts, several at once, each from a buffer of its own that is used again: memory is bounded. A part that can't be
 * sent ends the others, and the source.
 *
 * @param sizes of the parts, which are also those of the buffers.
 * @param first the first part, where it was already read into its buffer.
 * @param send sends a part, and rejects when `stop` is aborted.
 * @returns how many bytes there were.
 * @throws SourceFailed, or what `send` throws, once nothing is under way any more.
 */
export async function sendParts(
	reader: PartReader,
	{ sizes, first, signal }: { sizes: PartSizes; first?: Buffer; signal: AbortSignal },
	send: (partNumber: number, body: Buffer, stop: AbortSignal) => Promise<void>,
): Promise<number> {
	const inFlight = new Set<Promise<void>>();
	const free: Buffer[] = [];
	const failure = new AbortController();
	const stop = AbortSignal.any([signal, failure.signal]);
	stop.addEventListener('abort', () => reader.cancel(stop.reason), { once: true });
	let size = 0;

	const next = async (partNumber: number): Promise<Buffer> => {
		const partSize = sizes(partNumber);
		while (inFlight.size >= partsInFlight(partSize) && !stop.aborted) await Promise.race(inFlight);
		stop.throwIfAborted();
		return await reader.fill(takeBuffer(free, partSize));
	};

	try {
		for (let partNumber = 1; ; partNumber += 1) {
			const body = (partNumber === 1 && first) || (await next(partNumber));
			if (body.length === 0) break;
			size += body.length;
			const sent = send(partNumber, body, stop).then(
				() => {
					free.push(body);
				},
				(error: unknown) => failure.abort(error),
			);
			inFlight.add(sent);
			void sent.then(() => inFlight.delete(sent));
			if (reader.ended) break;
		}
		await Promise.all(inFlight);
		stop.throwIfAborted();
	} catch (error) {
		const cause = failure.signal.aborted ? (failure.signal.reason as unknown) : error;
		failure.abort();
		await Promise.all(inFlight);
		throw cause;
	}
	return size;
}

/** A buffer of exactly this capacity; those of another size are let go. */
function takeBuffer(free: Buffer[], size: number): Buffer {
	for (let buffer = free.pop(); buffer; buffer = free.pop()) {
		// A part cut short is only ever the last one.
		if (buffer.length === size) return buffer;
	}
	return Buffer.allocUnsafeSlow(size);
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

	/** What the source gave last, and what of it wasn't copied yet. */
	private piece: Buffer | undefined;

	private rest: Buffer | undefined;

	private readonly giveBack: GiveBack | undefined;

	/** Whether the source has ended and all of it was handed out. */
	ended = false;

	constructor(private readonly source: Readable) {
		// Whoever reads learns of it from the iterator; between two reads it must not count as unhandled.
		source.on('error', () => {});
		this.iterator = source[Symbol.asyncIterator]() as AsyncIterator<unknown>;
		this.giveBack = acceptOffer(source)?.giveBack;
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
				this.piece = toBuffer(next.value);
				this.rest = this.piece;
			}
			if (filled === buffer.length && this.rest.length > 0) return buffer;
			const copied = this.rest.copy(buffer, filled);
			filled += copied;
			if (copied < this.rest.length) this.rest = this.rest.subarray(copied);
			else {
				this.rest = undefined;
				this.giveBack?.(this.piece!);
			}
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
