import { open, type FileHandle } from 'node:fs/promises';
import { Writable, type Readable } from 'node:stream';

import type { GiveBack } from './buffer-pool';
import { acceptOffer } from './neighbours';

/** Bytes that may wait to be written, several pieces then at once, while the next ones are made. */
const WRITE_AHEAD = 1024 * 1024;

export interface FileWriterOptions {
	/** Permission bits of the new file. */
	mode: number;
	/** The one stream that is piped into it: it gets its memory back when that is written. */
	from?: Readable;
	/** Whether it ends only when everything has reached the disk. */
	sync: boolean;
}

/** Writes a new file. It is closed when the stream is, whatever happens; removing it after a failure is up to the caller. */
export class FileWriter extends Writable {
	private handle: FileHandle | undefined;

	private readonly giveBack: GiveBack | undefined;

	constructor(
		private readonly path: string,
		private readonly options: FileWriterOptions,
	) {
		super({ highWaterMark: WRITE_AHEAD });
		this.giveBack = options.from && acceptOffer(options.from)?.giveBack;
	}

	override _construct(callback: (error?: Error | null) => void): void {
		settle(this.open(), callback);
	}

	override _write(piece: Buffer, _encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
		settle(this.writePieces([piece]), callback);
	}

	override _writev(
		pieces: Array<{ chunk: Buffer; encoding: BufferEncoding }>,
		callback: (error?: Error | null) => void,
	): void {
		settle(this.writePieces(pieces.map(({ chunk }) => chunk)), callback);
	}

	override _final(callback: (error?: Error | null) => void): void {
		settle(this.options.sync ? this.handle!.sync() : Promise.resolve(), callback);
	}

	override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
		// Waits for a write that is under way.
		settle(this.handle?.close() ?? Promise.resolve(), (failure) => callback(error ?? failure ?? null));
	}

	private async open(): Promise<void> {
		this.handle = await open(this.path, 'wx', this.options.mode);
	}

	private async writePieces(pieces: readonly Buffer[]): Promise<void> {
		await writeAll(this.handle!, pieces);
		if (this.giveBack) for (const piece of pieces) this.giveBack(piece);
	}
}

/** Writes all of the pieces where the file stands. Throws what the system says. */
export async function writeAll(handle: FileHandle, pieces: readonly Buffer[]): Promise<void> {
	for (let left = pieces; left.length > 0;) {
		const { bytesWritten } = await handle.writev(left);
		left = behind(left, bytesWritten);
	}
}

/** What is left of pieces when some of their bytes are done: a full disk or a signal cuts a write short. */
function behind(pieces: readonly Buffer[], done: number): readonly Buffer[] {
	let index = 0;
	let rest = done;
	while (index < pieces.length && rest >= pieces[index]!.length) rest -= pieces[index++]!.length;
	if (rest === 0) return pieces.slice(index);
	return [pieces[index]!.subarray(rest), ...pieces.slice(index + 1)];
}

function settle(work: Promise<unknown>, callback: (error?: Error | null) => void): void {
	work.then(
		() => callback(),
		(error: Error) => callback(error),
	);
}
