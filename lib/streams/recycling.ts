import type { Duplex, Readable } from 'node:stream';

/** Takes back a piece that nobody looks at any more. Pieces of others, or a part or a copy of one, are left alone. */
export type GiveBack = (piece: Buffer) => void;

/** Free buffers that are kept; more are there only while somebody is slow. */
const MOST_FREE = 16;

/**
 * Buffers that a stream hands on and gets back. Fresh ones for all the bytes of a large file would be left to the garbage collector, which lets
 * tens of megabytes gather and then looks through all objects of the process each time; and memory used a moment ago is in the processor's cache.
 */
export class BufferPool {
	private readonly free: Buffer[] = [];

	/** The buffer behind each piece that is on its way. By the piece itself: whoever cut or copied one gives back another object. */
	private readonly lent = new WeakMap<Buffer, Buffer>();

	/** Somebody gives back: only then are buffers worth being larger than what they hold. */
	private isRecycled = false;

	/** @param size of a buffer, in bytes. */
	constructor(private readonly size: number) {}

	/** A buffer to fill. @param needed the least it must hold, at most the pool's size. */
	take(needed: number): Buffer {
		return this.free.pop() ?? Buffer.allocUnsafeSlow(this.isRecycled ? this.size : needed);
	}

	/** The piece to hand on: the first bytes of a buffer that was taken. The buffer must not be written to until it is taken again. */
	lend(buffer: Buffer, length: number): Buffer {
		const piece = buffer.subarray(0, length);
		if (buffer.length === this.size) this.lent.set(piece, buffer);
		return piece;
	}

	/** Lets the one reader of a stream give back what it has used up. */
	readonly acceptReturns = (): GiveBack => {
		this.isRecycled = true;
		return (piece) => {
			const buffer = this.lent.get(piece);
			if (!buffer) return;
			this.lent.delete(piece);
			if (this.free.length < MOST_FREE) this.free.push(buffer);
		};
	};
}

const lenders = new WeakMap<Readable, () => GiveBack>();

const consumers = new WeakMap<Duplex, (giveBack: GiveBack) => void>();

const passing = new WeakSet<Duplex>();

/** Says that what a stream puts out are pieces of a pool. */
export function lends(stream: Readable, pool: BufferPool): void {
	lenders.set(stream, pool.acceptReturns);
}

/**
 * Says that a transform gives back what it has used up: at the latest when it asks for more, or never.
 *
 * @param accept gets the function to call with each piece.
 */
export function consumes(transform: Duplex, accept: (giveBack: GiveBack) => void): void {
	consumers.set(transform, accept);
}

/** Says that a transform hands on the very pieces it gets, keeps none of them, and reads them only before it hands them on. */
export function passesOn(transform: Duplex): void {
	passing.add(transform);
}

/** What the one who reads a stream to its end gives pieces back to; undefined if nobody wants them. Only one reader gets it. */
export function returnsTo(stream: Readable): GiveBack | undefined {
	const acceptReturns = lenders.get(stream);
	lenders.delete(stream);
	return acceptReturns?.();
}

/** Lets pieces go back from a transform to the stream that is piped into it, and into nothing else. */
export function connect(before: Readable, transform: Duplex): void {
	const accept = consumers.get(transform);
	if (accept) {
		const giveBack = returnsTo(before);
		if (giveBack) accept(giveBack);
	} else if (passing.has(transform)) {
		const acceptReturns = lenders.get(before);
		if (!acceptReturns) return;
		lenders.delete(before);
		lenders.set(transform, acceptReturns);
	}
}
