import { createCipheriv, createHash, randomBytes, type Hash } from 'node:crypto';
import type { TransformCallback } from 'node:stream';

import { offer } from '../../streams/neighbours';
import { SlicedTransform } from '../container';
import { freeMemory } from '../memory';

import { PacketWriter, PART_SIZE, partsPool, Tag } from './packets';

/**
 * Writes an encrypted message: the packets with the session key, then the data with its modification detection code (RFC
 * 9580, section 5.13.1, which every gpg reads).
 */
export class MessageWriter extends SlicedTransform {
	private readonly pool = partsPool();

	private readonly outer = new PacketWriter(Tag.encrypted, this.pool);

	private readonly literal: PacketWriter | undefined;

	private readonly cipher;

	private readonly hash: Hash = createHash('sha1');

	/**
	 * @param sessionKeyPackets of `sessionKey`, which has 32 bytes and is used for this message only.
	 * @param content whether bytes of the content come, or packets that hold it already.
	 */
	constructor(sessionKeyPackets: Buffer, sessionKey: Buffer, content: 'bytes' | 'packets') {
		super();
		offer(this, { pool: this.pool });
		this.cipher = createCipheriv('aes-256-cfb', sessionKey, Buffer.alloc(16));
		const random = randomBytes(16);
		this.release([sessionKeyPackets, this.outer.update(Buffer.from([1]))]);
		this.seal(Buffer.concat([random, random.subarray(14)]));
		if (content === 'bytes') {
			this.literal = new PacketWriter(Tag.literal);
			// Binary, no file name, no date: nothing of the source is told.
			this.seal(this.literal.update(Buffer.from([0x62, 0, 0, 0, 0, 0])));
		}
	}

	override _transform(data: Buffer, _encoding: BufferEncoding, callback: TransformCallback): void {
		const { literal } = this;
		const work = (slice: Buffer) => {
			// Small enough for memory that was used a moment ago.
			for (let offset = 0; offset < slice.length; offset += PART_SIZE) {
				const part = slice.subarray(offset, offset + PART_SIZE);
				const packet = literal ? literal.update(part) : part;
				this.seal(packet);
				if (literal) freeMemory(packet);
			}
		};
		this.inSlices(data, work, callback);
	}

	override _flush(callback: TransformCallback): void {
		if (this.literal) this.seal(this.literal.final());
		this.seal(Buffer.from([0xd3, 0x14]));
		const code = this.cipher.update(this.hash.digest());
		this.release([this.outer.update(code), this.outer.final()]);
		callback();
	}

	private seal(plaintext: Buffer): void {
		if (plaintext.length === 0) return;
		this.hash.update(plaintext);
		const ciphertext = this.cipher.update(plaintext);
		const part = this.outer.update(ciphertext);
		freeMemory(ciphertext);
		if (part.length > 0) this.release([part]);
	}
}
