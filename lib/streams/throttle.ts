import { Transform, type TransformCallback } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';

/** Milliseconds for which unused rate is saved up: what may pass at once. */
const BURST = 250;

/**
 * Passes bytes through at no more than a rate on average (a token bucket that holds a quarter of a second). Large chunks are
 * divided, so that the flow is even.
 */
export class Throttle extends Transform {
	/** When all that has passed is paid for, in milliseconds of `performance.now()`. */
	private paid = 0;

	private readonly stop = new AbortController();

	/** @param bytesPerSecond above 0. */
	constructor(private readonly bytesPerSecond: number) {
		super();
	}

	override _transform(chunk: Buffer, _encoding: BufferEncoding, callback: TransformCallback): void {
		this.pass(chunk).then(
			() => callback(),
			(error: Error) => callback(error),
		);
	}

	private async pass(chunk: Buffer): Promise<void> {
		const most = Math.max(1024, Math.ceil((this.bytesPerSecond * BURST) / 1000));
		for (let at = 0; at < chunk.length; at += most) {
			const piece = chunk.subarray(at, at + most);
			const now = performance.now();
			this.paid = Math.max(this.paid, now - BURST) + (piece.length / this.bytesPerSecond) * 1000;
			if (this.paid > now) await sleep(this.paid - now, undefined, { signal: this.stop.signal });
			this.push(piece);
		}
	}

	override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
		this.stop.abort();
		callback(error);
	}
}
