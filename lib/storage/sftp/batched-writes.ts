import type { Socket } from 'node:net';

/** Bytes that are sent at once, if there are so many. */
const BATCH = 512 * 1024;

/** Buffers of that size that are kept; more are there only while the network is slow. */
const MOST_FREE = 8;

/**
 * Sends in one piece what is written to a socket until the program's current step ends. The SSH library writes each packet of 32 KiB in
 * three pieces.
 */
export class BatchedWrites {
	private readonly free: Buffer[] = [];

	private current: Buffer = Buffer.allocUnsafeSlow(BATCH);

	private filled = 0;

	constructor(private readonly socket: Socket) {}

	/** @param data is copied. */
	readonly write = (data: Uint8Array): void => {
		if (this.filled === 0) process.nextTick(this.flush);
		for (let at = 0; at < data.length;) {
			const piece = data.subarray(at, at + BATCH - this.filled);
			this.current.set(piece, this.filled);
			at += piece.length;
			this.filled += piece.length;
			if (this.filled === BATCH) this.flush();
		}
	};

	private readonly flush = (): void => {
		if (this.filled === 0) return;
		const batch = this.current;
		const { filled } = this;
		this.current = this.free.pop() ?? Buffer.allocUnsafeSlow(BATCH);
		this.filled = 0;
		if (!this.socket.writable) return;
		this.socket.write(batch.subarray(0, filled), () => {
			if (this.free.length < MOST_FREE) this.free.push(batch);
		});
	};
}
