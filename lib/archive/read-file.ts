import { constants, type BigIntStats } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

import { LifeboatError } from '../errors';

/** Files up to this size are read whole before anything of them is written, so that one that changes meanwhile is read again. */
const SMALL = 1024 * 1024;

const CHUNK = 256 * 1024;

const ATTEMPTS = 3;

const PAUSE_MS = 20;

/** A change this soon after the one before may leave the same time on the file: clocks of file systems tick every few milliseconds. */
const TICK_MS = 15;

/** A file open for reading. To be closed. */
export class StableFile {
	private changed = false;

	private content: Buffer | undefined;

	private constructor(
		private readonly path: string,
		private readonly handle: FileHandle,
		private current: BigIntStats,
	) {}

	/**
	 * Opens the very file that was found. What has taken its place since (a link, a pipe, another file) is not read.
	 *
	 * @returns undefined if something else lies there now. @throws system errors.
	 */
	static async open(path: string, found: BigIntStats): Promise<StableFile | undefined> {
		let handle: FileHandle;
		try {
			// Without O_NONBLOCK, opening a pipe waits for somebody to write into it.
			handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
		} catch (error) {
			if (error instanceof Error && 'code' in error && (error.code === 'ELOOP' || error.code === 'ENXIO'))
				return undefined;
			throw error;
		}
		try {
			const stats = await handle.stat({ bigint: true });
			if (stats.isFile() && stats.ino === found.ino && stats.dev === found.dev) {
				const file = new StableFile(path, handle, await settled(handle, stats));
				await file.readWhole();
				return file;
			}
		} catch (error) {
			await handle.close();
			throw error;
		}
		await handle.close();
		return undefined;
	}

	/** What the system says of the file. */
	get stats(): BigIntStats {
		return this.current;
	}

	/** Bytes that `read` gives. */
	get size(): number {
		return this.content?.length ?? Number(this.current.size);
	}

	/** After the content: whether the file was written to while it was read, so that the content is of no single moment. */
	get hasChanged(): boolean {
		return this.changed;
	}

	/**
	 * The content, exactly `size` bytes.
	 *
	 * @throws LifeboatError `FILE_CHANGED` if the file has become shorter; system errors.
	 */
	async *read(): AsyncGenerator<Buffer, void, undefined> {
		if (this.content) {
			if (this.content.length > 0) yield this.content;
			return;
		}
		const size = Number(this.current.size);
		for (let position = 0; position < size;) {
			const length = Math.min(CHUNK, size - position);
			const { bytesRead, buffer } = await this.handle.read(Buffer.allocUnsafe(length), 0, length, position);
			if (bytesRead === 0) throw fileChanged(this.path, 'became shorter');
			yield buffer.subarray(0, bytesRead);
			position += bytesRead;
		}
		this.changed = !isSame(this.current, await this.handle.stat({ bigint: true }));
	}

	async close(): Promise<void> {
		await this.handle.close();
	}

	/** Reads a small file until it holds still; after the last attempt, what was read then is the content. */
	private async readWhole(): Promise<void> {
		for (let attempt = 1; this.current.size <= SMALL; attempt++) {
			const size = Number(this.current.size);
			// One byte more than there should be, to see whether it grew.
			const read = await readUpTo(this.handle, size + 1);
			const after = await this.handle.stat({ bigint: true });
			this.changed = read.length !== size || !isSame(this.current, after);
			if (!this.changed || attempt === ATTEMPTS) {
				this.content = read.subarray(0, size);
				return;
			}
			await sleep(PAUSE_MS);
			this.current = await settled(this.handle, await this.handle.stat({ bigint: true }));
		}
	}
}

function isSame(a: BigIntStats, b: BigIntStats): boolean {
	return a.size === b.size && a.mtimeNs === b.mtimeNs && a.ctimeNs === b.ctimeNs;
}

/** @param how such as `became shorter`. */
export function fileChanged(path: string, how: string): LifeboatError {
	return new LifeboatError('FILE_CHANGED', `${path} ${how} while it was read`, {
		hint: 'Exclude files that are being written, stop what writes them during the backup, or archive a snapshot of the disk',
	});
}

/** What the system says once a change could be told by the file's times, if it comes to rest at all. */
async function settled(handle: FileHandle, stats: BigIntStats): Promise<BigIntStats> {
	let current = stats;
	for (let attempt = 1; attempt < ATTEMPTS && isFresh(current); attempt++) {
		await sleep(PAUSE_MS);
		current = await handle.stat({ bigint: true });
	}
	return current;
}

function isFresh({ ctimeMs }: BigIntStats): boolean {
	return Math.abs(Date.now() - Number(ctimeMs)) < TICK_MS;
}

async function readUpTo(handle: FileHandle, most: number): Promise<Buffer> {
	const buffer = Buffer.allocUnsafe(most);
	let length = 0;
	while (length < most) {
		const { bytesRead } = await handle.read(buffer, length, most - length, length);
		if (bytesRead === 0) break;
		length += bytesRead;
	}
	return buffer.subarray(0, length);
}
