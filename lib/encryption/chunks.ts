import {
	createCipheriv,
	createDecipheriv,
	createSecretKey,
	type CipherGCMTypes,
	type KeyObject,
} from 'node:crypto';

import { BufferPool } from '../streams/buffer-pool';

import { damaged } from './failures';
import { freeMemory } from './memory';

/** Bytes of plaintext in every chunk but the last. */
export const CHUNK_SIZE = 64 * 1024;

/** Bytes of the authentication tag behind every chunk. */
export const TAG_SIZE = 16;

const SEALED_SIZE = CHUNK_SIZE + TAG_SIZE;

/** Chunks that are released as one piece: tags of 16 bytes, each written on its own, cost more than a copy does. */
const CHUNKS_TOGETHER = 4;

// Both algorithms have one interface; only Node's declarations tell them apart, hence the casts below.
const options = { authTagLength: TAG_SIZE };

/** The cipher a payload is sealed with. */
export interface PayloadCipher {
	readonly algorithm: 'chacha20-poly1305' | 'aes-256-gcm';
	/** Used for this one payload only, for nonces count from zero. */
	readonly key: KeyObject;
}

/** @param key 32 bytes. A key object is set up once, bytes would be for every chunk. */
export function payloadCipher(algorithm: PayloadCipher['algorithm'], key: ArrayBuffer): PayloadCipher {
	return { algorithm, key: createSecretKey(new Uint8Array(key)) };
}

/**
 * The STREAM construction of Hoang, Reyhanitabar, Rogaway and Vizár as age v1 uses it: chunks of 64 KiB, each sealed with a
 * nonce of its 11-byte big-endian number and one byte that is 1 for the last chunk alone. So no chunk can be changed, moved,
 * repeated, dropped or appended unnoticed. The last chunk is empty only when the whole payload is.
 */
class ChunkNonce {
	private readonly bytes = Buffer.alloc(12);

	private number = 0;

	/** How many nonces were handed out. */
	get count(): number {
		return this.number;
	}

	next(last: boolean): Buffer {
		this.bytes.writeUIntBE(this.number, 5, 6);
		this.bytes[11] = last ? 1 : 0;
		this.number += 1;
		return this.bytes;
	}
}

/** Keeps back what could still be the last chunk, and hands on everything before it in whole chunks. */
class Holdback {
	private readonly held: Buffer;

	private fill = 0;

	constructor(private readonly size: number) {
		this.held = Buffer.allocUnsafeSlow(size);
	}

	get rest(): Buffer {
		return this.held.subarray(0, this.fill);
	}

	/** How many whole chunks `take` would hand on. At least one byte is always kept. */
	ready(incoming: number): number {
		return Math.max(0, Math.ceil((this.fill + incoming) / this.size) - 1);
	}

	take(data: Buffer, use: (chunk: Buffer) => void): void {
		let offset = 0;
		for (let left = this.ready(data.length); left > 0; left--) {
			if (this.fill > 0) {
				const missing = this.size - this.fill;
				data.copy(this.held, this.fill, offset, offset + missing);
				offset += missing;
				this.fill = 0;
				use(this.held);
			} else {
				use(data.subarray(offset, offset + this.size));
				offset += this.size;
			}
		}
		this.fill += data.copy(this.held, this.fill, offset);
	}
}

/** Takes whole chunks out of `data`, and gathers what `work` makes of each, `size` bytes, in pieces of a pool. */
function gather(
	holdback: Holdback,
	data: Buffer,
	pool: BufferPool,
	size: number,
	work: (chunk: Buffer, target: Buffer, offset: number) => void,
): Buffer[] {
	const pieces: Buffer[] = [];
	let left = holdback.ready(data.length);
	let target: Buffer | undefined;
	let fill = 0;
	holdback.take(data, (chunk) => {
		target ??= pool.take(Math.min(left, CHUNKS_TOGETHER) * size);
		work(chunk, target, fill);
		fill += size;
		left -= 1;
		if (left > 0 && fill < CHUNKS_TOGETHER * size) return;
		pieces.push(pool.lend(target, fill));
		target = undefined;
		fill = 0;
	});
	return pieces;
}

/** One direction of a payload. */
export interface ChunkCoder {
	/** What the bytes given so far allow to be released. */
	update(data: Buffer): Buffer[];
	/** The rest, once the input has ended. */
	final(): Buffer;
}

/** For what `sealChunks` puts out. */
export const sealedPool = () => new BufferPool(CHUNKS_TOGETHER * SEALED_SIZE);

/** For what `openChunks` puts out. */
export const openedPool = () => new BufferPool(CHUNKS_TOGETHER * CHUNK_SIZE);

/** @param pool for what `update` returns. */
export function sealChunks({ algorithm, key }: PayloadCipher, pool = sealedPool()): ChunkCoder {
	const nonce = new ChunkNonce();
	const holdback = new Holdback(CHUNK_SIZE);
	const seal = (chunk: Buffer, last: boolean, target: Buffer, offset: number) => {
		const sealer = createCipheriv(algorithm as CipherGCMTypes, key, nonce.next(last), options);
		const sealed = sealer.update(chunk);
		target.set(sealed, offset);
		freeMemory(sealed);
		sealer.final();
		target.set(sealer.getAuthTag(), offset + chunk.length);
	};
	return {
		update: (data) =>
			gather(holdback, data, pool, SEALED_SIZE, (chunk, target, offset) =>
				seal(chunk, false, target, offset),
			),
		final() {
			const chunk = holdback.rest;
			const target = Buffer.allocUnsafeSlow(chunk.length + TAG_SIZE);
			seal(chunk, true, target, 0);
			return target;
		},
	};
}

/**
 * Its functions throw LifeboatError `DAMAGED` instead of releasing anything of a chunk that isn't authentic.
 *
 * @param pool for what `update` returns.
 */
export function openChunks({ algorithm, key }: PayloadCipher, pool = openedPool()): ChunkCoder {
	const nonce = new ChunkNonce();
	const holdback = new Holdback(SEALED_SIZE);
	const open = (sealed: Buffer, last: boolean, target: Buffer, offset: number) => {
		const size = sealed.length - TAG_SIZE;
		const start = nonce.count * CHUNK_SIZE;
		const opener = createDecipheriv(algorithm as CipherGCMTypes, key, nonce.next(last), options);
		opener.setAuthTag(sealed.subarray(size));
		const plaintext = opener.update(sealed.subarray(0, size));
		try {
			opener.final();
		} catch {
			const where = `between byte ${start} and byte ${start + size} of its content`;
			throw damaged(
				last
					? `was changed ${where}, or ends before its real end`
					: `was changed ${where}, or goes on behind its real end`,
			);
		}
		target.set(plaintext, offset);
		freeMemory(plaintext);
	};
	return {
		update: (data) =>
			gather(holdback, data, pool, CHUNK_SIZE, (chunk, target, offset) => open(chunk, false, target, offset)),
		final() {
			const sealed = holdback.rest;
			if (sealed.length < TAG_SIZE || (sealed.length === TAG_SIZE && nonce.count > 0)) {
				throw damaged('ends before its real end');
			}
			const target = Buffer.allocUnsafeSlow(sealed.length - TAG_SIZE);
			open(sealed, true, target, 0);
			return target;
		},
	};
}
