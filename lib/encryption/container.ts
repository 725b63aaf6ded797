import { Transform, type TransformCallback } from 'node:stream';

import type { GiveBack } from '../streams/buffer-pool';
import { offer, onOffer } from '../streams/neighbours';

import {
	openChunks,
	openedPool,
	sealChunks,
	sealedPool,
	type ChunkCoder,
	type PayloadCipher,
} from './chunks';

/** Bytes worked on before the event loop gets its turn: about half a millisecond. */
const SLICE_SIZE = 1024 * 1024;

/** What the header of an encrypted file tells. */
export interface OpenedHeader {
	/** Bytes from the start of the file to its payload. */
	length: number;
	cipher: PayloadCipher;
}

/** Reads the header of one file. */
export interface HeaderReader {
	/**
	 * @param start the file's first bytes, as many as came so far. A reader must bound how many it asks for.
	 * @param ended whether these are all there are.
	 * @returns undefined as long as more bytes are needed; never when `ended`.
	 * @throws LifeboatError when the header is refused.
	 */
	read(start: Buffer, ended: boolean): Promise<OpenedHeader | undefined>;
	/** Turns the bytes of the stream into those of the file, where a format has a textual form. */
	readonly filter?: { update(data: Buffer): Buffer; final(): Buffer };
}

/** A transform that works in slices, so that a huge write doesn't hold up everything else in the process. */
export abstract class SlicedTransform extends Transform {
	private giveBack: GiveBack | undefined;

	constructor() {
		super();
		onOffer(this, ({ giveBack }) => (this.giveBack = giveBack));
	}

	protected release(parts: readonly Buffer[]): void {
		for (const part of parts) this.push(part);
	}

	/** @param data as it came, or a part or copy of it. @param work keeps nothing of its slice. */
	protected inSlices(data: Buffer, work: (slice: Buffer) => void, callback: TransformCallback): void {
		let offset = 0;
		const next = (): void => {
			if (this.destroyed) return;
			try {
				work(data.subarray(offset, offset + SLICE_SIZE));
			} catch (error) {
				callback(error as Error);
				return;
			}
			offset += SLICE_SIZE;
			if (offset < data.length) {
				setImmediate(next);
				return;
			}
			this.giveBack?.(data);
			callback();
		};
		next();
	}
}

/** Writes a header as it is, then the payload, sealed. */
export class SealStream extends SlicedTransform {
	private readonly chunks: ChunkCoder;

	constructor(header: Buffer, cipher: PayloadCipher) {
		super();
		const pool = sealedPool();
		offer(this, { pool });
		this.chunks = sealChunks(cipher, pool);
		this.push(header);
	}

	override _transform(data: Buffer, _encoding: BufferEncoding, callback: TransformCallback): void {
		this.inSlices(data, (slice) => this.release(this.chunks.update(slice)), callback);
	}

	override _flush(callback: TransformCallback): void {
		callback(null, this.chunks.final());
	}
}

/** Undoes `SealStream`. Releases only authenticated bytes, and ends only after the last chunk was seen. */
export class OpenStream extends SlicedTransform {
	private chunks: ChunkCoder | undefined;

	private start: Buffer = Buffer.alloc(0);

	private readonly pool = openedPool();

	constructor(private readonly header: HeaderReader) {
		super();
		offer(this, { pool: this.pool });
	}

	override _transform(data: Buffer, _encoding: BufferEncoding, callback: TransformCallback): void {
		if (this.chunks) {
			this.inSlices(data, (slice) => this.open(this.filtered(slice)), callback);
			return;
		}
		let bytes: Buffer;
		try {
			bytes = this.filtered(data);
		} catch (error) {
			callback(error as Error);
			return;
		}
		this.readHeader(bytes, false).then((rest) => {
			this.inSlices(rest, (slice) => this.open(slice), callback);
		}, callback);
	}

	override _flush(callback: TransformCallback): void {
		this.finish().then((last) => callback(null, last), callback);
	}

	private filtered(data: Buffer): Buffer {
		return this.header.filter ? this.header.filter.update(data) : data;
	}

	private open(data: Buffer): void {
		if (this.chunks) this.release(this.chunks.update(data));
	}

	/** @returns the bytes behind the header, none as long as it isn't whole. */
	private async readHeader(data: Buffer, ended: boolean): Promise<Buffer> {
		this.start = Buffer.concat([this.start, data]);
		const header = await this.header.read(this.start, ended);
		if (!header) return Buffer.alloc(0);
		this.chunks = openChunks(header.cipher, this.pool);
		const rest = this.start.subarray(header.length);
		this.start = Buffer.alloc(0);
		return rest;
	}

	private async finish(): Promise<Buffer> {
		let last = this.header.filter?.final() ?? Buffer.alloc(0);
		if (!this.chunks) last = await this.readHeader(last, true);
		if (!this.chunks) throw new Error('a header reader asked for more than there is');
		this.release(this.chunks.update(last));
		return this.chunks.final();
	}
}
