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
