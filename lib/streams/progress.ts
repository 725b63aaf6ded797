import { Transform, type TransformCallback } from 'node:stream';

import { passesOn } from './neighbours';

/** How far a transfer has come. */
export interface Progress {
	/** Bytes that have passed. */
	bytes: number;
	/** Bytes in all, where known. */
	total?: number;
	/** Since the first byte was waited for. */
	seconds: number;
	/** On average since the last report. */
	bytesPerSecond: number;
	/** Seconds at that rate until all have passed, where `total` is known and something moves. */
	remaining?: number;
}

export interface ProgressOptions {
	/** Bytes, where known. */
	total?: number | undefined;
	/** Milliseconds between two reports. */
	every: number;
	onProgress: (progress: Progress) => void;
	/** Milliseconds, rising; `performance.now` unless given. */
	clock?: () => number;
}

/** Passes bytes through, and reports how many have, every so often while they move. Transfers shorter than that report nothing. */
export class ProgressStream extends Transform {
	private bytes = 0;

	private readonly start: number;

	private last: { at: number; bytes: number };

	constructor(private readonly options: ProgressOptions) {
		super();
		passesOn(this);
		this.start = this.now();
		this.last = { at: this.start, bytes: 0 };
	}

	override _transform(chunk: Buffer, _encoding: BufferEncoding, callback: TransformCallback): void {
		this.bytes += chunk.length;
		const now = this.now();
		if (now - this.last.at >= this.options.every) {
			this.report(now);
			this.last = { at: now, bytes: this.bytes };
		}
		callback(null, chunk);
	}

	private report(now: number): void {
		const { total, onProgress } = this.options;
		const bytesPerSecond = ((this.bytes - this.last.bytes) / (now - this.last.at)) * 1000;
		onProgress({
			bytes: this.bytes,
			...(total !== undefined && { total, remaining: Math.max(0, total - this.bytes) / bytesPerSecond }),
			seconds: (now - this.start) / 1000,
			bytesPerSecond,
		});
	}

	private now(): number {
		return (this.options.clock ?? (() => performance.now()))();
	}
}
