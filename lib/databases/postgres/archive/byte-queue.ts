import { Readable } from 'node:stream';

import { abortable } from '../../../streams/chain';

import { damaged, INTEGER_SIZE, OFFSET_SIZE } from './format';
import type { ByteSource } from './types';

/** Thrown inside `parse` where the buffered bytes don't suffice; never leaves this file. */
class NeedMore extends Error {
	constructor(readonly bytes: number) {
		super();
	}
}

/** No text is longer: PostgreSQL's own values end at 1 GiB, pg_dump's SQL in practice far below. */
export const MAX_TEXT_BYTES = 256 * 1024 * 1024;

/** Reads the format's values from bytes that are in memory. */
export class Cursor {
	constructor(
		private readonly bytes: Buffer,
		public position: number,
		/** Offset in the archive of the first of `bytes`. */
		private readonly base: number,
	) {}

	/** In the archive. */
	get offset(): number {
		return this.base + this.position;
	}

	byte(): number {
		return this.take(1)[0]!;
	}

	take(length: number): Buffer {
		const end = this.position + length;
		if (end > this.bytes.length) throw new NeedMore(end - this.bytes.length);
		const taken = this.bytes.subarray(this.position, end);
		this.position = end;
		return taken;
	}

	/** A sign byte, then the magnitude, least significant byte first. */
	int(): number {
		const at = this.offset;
		const sign = this.byte();
		const magnitude = this.take(INTEGER_SIZE).readUInt32LE();
		return integer(sign, magnitude, at);
	}

	/** An integer that must not be negative. */
	count(what: string): number {
		const at = this.offset;
		const value = this.int();
		if (value < 0) throw damaged(`${what} is ${value}`, at);
		return value;
	}

	/** Its length, then its bytes; a length of -1 stands for NULL. */
	text(): Buffer | null {
		const at = this.offset;
		const length = this.int();
		if (length === -1) return null;
		if (length < 0 || length > MAX_TEXT_BYTES) throw damaged(`a text of ${length} bytes`, at);
		const bytes = this.take(length);
		if (bytes.includes(0)) throw damaged('a text holds a zero byte', at);
		return bytes;
	}

	/** A state byte, then a number of eight bytes. */
	fileOffset(): { state: number; value: number } {
		const at = this.offset;
		const state = this.byte();
		const value = this.take(OFFSET_SIZE).readBigUInt64LE();
		if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw damaged(`a file offset of ${value}`, at);
		return { state, value: Number(value) };
	}
}

function integer(sign: number, magnitude: number, at: number): number {
	// There is no minus zero, and the most negative number has no positive counterpart.
	const isValid =
		sign === 0 ? magnitude <= 0x7fffffff : sign === 1 && magnitude > 0 && magnitude <= 0x80000000;
	if (!isValid) throw damaged('a number is out of range', at);
	return sign === 1 ? -magnitude : magnitude;
}

/**
 * The bytes of a forward-only source, with the position in it. It holds what the source gave and nobody took yet: a length that
 * a damaged or hostile archive claims costs nothing before that many bytes have really come.
 */
export class ByteQueue {
	private bytes: Buffer = Buffer.alloc(0);

	private position = 0;

	private readonly iterator: AsyncIterator<Uint8Array>;

	private ended = false;

	/** @param base what the source's first byte counts as: not 0 where it starts in the middle of an archive. */
	constructor(
		source: ByteSource,
		private base = 0,
		signal?: AbortSignal,
	) {
		this.iterator = openSource(source, signal)[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>;
	}

	/** Offset in the archive of the next byte. */
	get offset(): number {
		return this.base + this.position;
	}

	/** How many bytes are here. */
	get buffered(): number {
		return this.bytes.length - this.position;
	}

	/** Reads something whose end is not known beforehand; it is read again from its start where bytes were missing. */
	async parse<T>(what: string, read: (cursor: Cursor) => T): Promise<T> {
		for (;;) {
			const cursor = new Cursor(this.bytes, this.position, this.base);
			try {
				const value = read(cursor);
				this.position = cursor.position;
				return value;
			} catch (error) {
				if (!(error instanceof NeedMore)) throw error;
				const available = this.buffered;
				// At least doubled, so that reading again from the start stays linear.
				await this.fill(available + Math.max(error.bytes, available), available + error.bytes, what);
			}
		}
	}

	/** An integer, if all of it is here. */
	bufferedInt(): number | undefined {
		const { bytes, position } = this;
		if (position + 1 + INTEGER_SIZE > bytes.length) return undefined;
		this.position += 1 + INTEGER_SIZE;
		return integer(bytes[position]!, bytes.readUInt32LE(position + 1), this.base + position);
	}

	/** Up to so many bytes of those that are here, without copying them. */
	takeBuffered(limit: number): Buffer {
		const taken = this.bytes.subarray(this.position, this.position + limit);
		this.position += taken.length;
		return taken;
	}

	/** Copies up to so many bytes of those that are here. Returns their number. */
	copyBuffered(target: Buffer, at: number, limit: number): number {
		const count = this.bytes.copy(target, at, this.position, this.position + limit);
		this.position += count;
		return count;
	}

	/** Waits for more bytes. @throws LifeboatError `ARCHIVE_DAMAGED` at the end of the source. */
	async pull(what: string): Promise<void> {
		const available = this.buffered;
		await this.fill(available + 1, available + 1, what);
	}

	/** Whether nothing is left. */
	async atEnd(): Promise<boolean> {
		while (this.position === this.bytes.length) {
			const chunk = await this.nextChunk();
			if (!chunk) return true;
			this.base += this.bytes.length;
			this.bytes = chunk;
			this.position = 0;
		}
		return false;
	}

	/** Releases the source. */
	async close(): Promise<void> {
		this.ended = true;
		await this.iterator.return?.();
	}

	/** Waits until `wanted` bytes are here, or at least `needed` and the source has ended. */
	private async fill(wanted: number, needed: number, what: string): Promise<void> {
		const rest = this.bytes.subarray(this.position);
		const chunks = rest.length > 0 ? [rest] : [];
		let total = rest.length;
		while (total < wanted) {
			const chunk = await this.nextChunk();
			if (!chunk) break;
			chunks.push(chunk);
			total += chunk.length;
		}
		this.base += this.position;
		this.bytes = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, total);
		this.position = 0;
		if (total < needed) throw damaged(`it ends in the middle of ${what}`, this.base + total);
	}

	private async nextChunk(): Promise<Buffer | undefined> {
		if (this.ended) return undefined;
		const result = await this.iterator.next();
		if (result.done) {
			this.ended = true;
			return undefined;
		}
		const bytes = result.value;
		return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
	}
}

/** The source as a stream, which a signal can end while its next bytes are waited for. */
function openSource(source: ByteSource, signal: AbortSignal | undefined): Readable {
	return abortable(
		source instanceof Readable ? source : Readable.from(source, { objectMode: false }),
		signal,
	);
}
