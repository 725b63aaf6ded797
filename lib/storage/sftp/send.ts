import { Writable, type Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

import type { GiveBack } from '../../streams/buffer-pool';
import { acceptOffer } from '../../streams/neighbours';

/** Bytes under way at once: enough for fast lines, and little enough for a slow one to answer within the time-out. */
const WINDOW = 4 * 1024 * 1024;

/** Bytes from which on a piece of the source is sent as it is; smaller ones are gathered. */
const WORTH_IT = 64 * 1024;

/** Takes care of bytes that belong to a position. They must not change before it is done. */
export type WriteBlock = (data: Buffer, position: number) => Promise<void>;

/**
 * Hands on all bytes of a source, several blocks at once. A write that fails ends it at once.
 *
 * @param most bytes in a block.
 * @returns how many bytes there were.
 */
export async function send(
	source: Readable,
	most: number,
	signal: AbortSignal | undefined,
	write: WriteBlock,
): Promise<number> {
	const blocks = new BlockWriter(most, write, acceptOffer(source)?.giveBack);
	await pipeline(source, blocks, { ...(signal && { signal }) });
	return blocks.sent;
}

/** Cuts what is written to it into blocks. */
class BlockWriter extends Writable {
	/** Bytes of blocks that were handed on. */
	sent = 0;

	private readonly free: Buffer[] = [];

	private block: Buffer | undefined;

	private filled = 0;

	/** Bytes that wait for an answer. */
	private waiting = 0;

	/** To be called when there is room for more. */
	private onRoom: (() => void) | undefined;

	/** To be called when nothing waits any more. */
	private onIdle: (() => void) | undefined;

	constructor(
		private readonly most: number,
		private readonly handOn: WriteBlock,
		private readonly giveBack: GiveBack = () => {},
	) {
		super({ highWaterMark: most });
	}

	override _write(data: Buffer, _encoding: BufferEncoding, callback: () => void): void {
		if (data.length >= WORTH_IT) this.handOnWhole(data);
		else this.gather(data);
		if (this.waiting < WINDOW) callback();
		else this.onRoom = callback;
	}

	override _final(callback: () => void): void {
		this.flush();
		if (this.waiting === 0) callback();
		else this.onIdle = callback;
	}

	private handOnWhole(data: Buffer): void {
		this.flush();
		let left = Math.ceil(data.length / this.most);
		const done = () => {
			left -= 1;
			if (left === 0) this.giveBack(data);
		};
		for (let at = 0; at < data.length; at += this.most) this.launch(data.subarray(at, at + this.most), done);
	}

	private gather(data: Buffer): void {
		for (let at = 0; at < data.length;) {
			this.block ??= this.free.pop() ?? Buffer.allocUnsafeSlow(this.most);
			const copied = data.copy(this.block, this.filled, at);
			at += copied;
			this.filled += copied;
			if (this.filled === this.most) this.flush();
		}
		this.giveBack(data);
	}

	private flush(): void {
		const { block, filled } = this;
		if (!block) return;
		this.block = undefined;
		this.filled = 0;
		this.launch(block.subarray(0, filled), () => this.free.push(block));
	}

	private launch(data: Buffer, done: () => void): void {
		this.waiting += data.length;
		this.handOn(data, this.sent).then(
			() => {
				done();
				this.answered(data.length);
			},
			(error: Error) => this.destroy(error),
		);
		this.sent += data.length;
	}

	private answered(bytes: number): void {
		this.waiting -= bytes;
		if (this.waiting === 0) this.onIdle?.();
		if (this.waiting >= WINDOW || !this.onRoom) return;
		const { onRoom } = this;
		this.onRoom = undefined;
		onRoom();
	}
}
