import { BufferPool } from '../../streams/buffer-pool';
import { damaged } from '../failures';

/** Packet types of RFC 9580, section 5. */
export const Tag = {
	publicKeySessionKey: 1,
	signature: 2,
	passphraseSessionKey: 3,
	onePassSignature: 4,
	compressed: 8,
	encryptedWithoutIntegrity: 9,
	marker: 10,
	literal: 11,
	encrypted: 18,
	encryptedGnuPg: 20,
	padding: 21,
} as const;

/** Bytes in a part of a packet whose length isn't known beforehand. */
export const PART_SIZE = 64 * 1024;

/** As much as comes of a part's worth of data at once: what is held back may make it two parts. */
const POOLED_SIZE = 2 * (PART_SIZE + 1) + 1;

/** For what a writer puts out that gets a part's worth of data at once. */
export const partsPool = () => new BufferPool(POOLED_SIZE);

const PART_HEADER = 0xe0 | Math.log2(PART_SIZE);

/** Writes one packet of unknown length: partial body lengths (RFC 9580, section 4.2.1.4) of 64 KiB. */
export class PacketWriter {
	private readonly held = Buffer.allocUnsafeSlow(PART_SIZE);

	private fill = 0;

	private header: Buffer;

	/** @param pool for what `update` returns. */
	constructor(
		tag: number,
		private readonly pool?: BufferPool,
	) {
		this.header = Buffer.from([0xc0 | tag]);
	}

	/** @returns what can be written of the packet so far. */
	update(data: Buffer): Buffer {
		const count = Math.floor((this.fill + data.length) / PART_SIZE);
		const size = count * (PART_SIZE + 1) + (count > 0 ? this.header.length : 0);
		const isPooled = this.pool !== undefined && count > 0 && size <= POOLED_SIZE;
		const target = isPooled ? this.pool.take(size) : Buffer.allocUnsafeSlow(size);
		let at = count > 0 ? this.header.copy(target) : 0;
		if (count > 0) this.header = Buffer.alloc(0);
		let offset = 0;
		for (let part = 0; part < count; part++) {
			target[at++] = PART_HEADER;
			at += this.held.copy(target, at, 0, this.fill);
			const missing = PART_SIZE - this.fill;
			at += data.copy(target, at, offset, offset + missing);
			offset += missing;
			this.fill = 0;
		}
		this.fill += data.copy(this.held, this.fill, offset);
		return isPooled ? this.pool.lend(target, size) : target;
	}

	final(): Buffer {
		const length = Buffer.alloc(5, 0xff);
		length.writeUInt32BE(this.fill, 1);
		return Buffer.concat([this.header, length, this.held.subarray(0, this.fill)]);
	}
}

/** One packet of known content. */
export function packet(tag: number, body: Uint8Array): Buffer {
	const header = Buffer.alloc(6, 0xff);
	header[0] = 0xc0 | tag;
	header.writeUInt32BE(body.length, 2);
	return Buffer.concat([header, body]);
}

/** A packet being read. */
export interface Packet {
	tag: number;
	/**
	 * Must be read to its end before the next packet. Fails when the packet is cut. A piece of it is good until the next one is asked for, if
	 * those of the reader's source are.
	 */
	body: AsyncGenerator<Buffer, void, undefined>;
}

/** Reads a sequence of packets without holding more of them than came at once. */
export class PacketReader {
	private readonly source: AsyncIterator<Uint8Array>;

	private rest: Buffer = Buffer.alloc(0);

	constructor(source: AsyncIterable<Uint8Array>) {
		this.source = source[Symbol.asyncIterator]();
	}

	/** @returns undefined at the end. */
	async next(): Promise<Packet | undefined> {
		if (!(await this.fill())) return undefined;
		const header = await this.byte();
		if (!(header & 0x80)) throw damaged('is not made of OpenPGP packets');
		if (header & 0x40) return { tag: header & 0x3f, body: this.body() };
		const kind = header & 3;
		const length = kind === 3 ? Infinity : await this.number(2 ** kind);
		return { tag: (header >> 2) & 15, body: this.take(length) };
	}

	private async *body(): AsyncGenerator<Buffer, void, undefined> {
		for (let isPartial = true; isPartial;) {
			const first = await this.byte();
			isPartial = first >= 224 && first < 255;
			let length = first;
			if (isPartial) length = 2 ** (first & 31);
			else if (first === 255) length = await this.number(4);
			else if (first >= 192) length = (first - 192) * 256 + (await this.byte()) + 192;
			yield* this.take(length);
		}
	}

	private async *take(length: number): AsyncGenerator<Buffer, void, undefined> {
		for (let missing = length; missing > 0;) {
			if (!(await this.fill())) {
				if (length === Infinity) return;
				throw damaged('ends before its real end');
			}
			const bytes = this.rest.subarray(0, missing);
			this.rest = this.rest.subarray(bytes.length);
			missing -= bytes.length;
			yield bytes;
		}
	}

	private async number(bytes: number): Promise<number> {
		let value = 0;
		for (let count = 0; count < bytes; count++) value = value * 256 + (await this.byte());
		return value;
	}

	private async byte(): Promise<number> {
		if (!(await this.fill())) throw damaged('ends before its real end');
		const byte = this.rest.readUInt8();
		this.rest = this.rest.subarray(1);
		return byte;
	}

	private async fill(): Promise<boolean> {
		while (this.rest.length === 0) {
			const result = await this.source.next();
			if (result.done) return false;
			const { value } = result;
			this.rest = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
		}
		return true;
	}
}

/** The whole of a packet that must be small. @param limit in bytes. */
export async function wholeBody({ body }: Packet, limit: number): Promise<Buffer> {
	const parts: Buffer[] = [];
	let size = 0;
	for await (const part of body) {
		size += part.length;
		if (size > limit) throw damaged('has an OpenPGP packet larger than any that is accepted');
		parts.push(Buffer.from(part));
	}
	return Buffer.concat(parts);
}
