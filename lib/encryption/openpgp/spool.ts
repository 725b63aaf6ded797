import { randomBytes } from 'node:crypto';
import { open, rm, type FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { TEMPORARY_PREFIX, writeError } from '../../streams/atomic-file';
import { openChunks, payloadCipher, sealChunks } from '../chunks';
import { freeMemory } from '../memory';

/** Bytes kept in memory; only what is larger goes to disk. */
const MEMORY_LIMIT = 8 * 1024 * 1024;

const BLOCK_SIZE = 1024 * 1024;

/**
 * Keeps bytes that must not be released yet. On disk they are encrypted with a key that only this object has, in a file that has
 * no name any more: whatever ends the process ends it, too.
 */
export class PrivateSpool {
	private readonly cipher = payloadCipher('aes-256-gcm', new Uint8Array(randomBytes(32)).buffer);

	private readonly sealer = sealChunks(this.cipher);

	private memory: Buffer[] = [];

	private size = 0;

	private file: FileHandle | undefined;

	/** Gathers small pieces, so that they go to disk as one. */
	private block: Buffer = Buffer.alloc(0);

	private fill = 0;

	/** Goes on while the next block is filled. Its error shows when it is waited for. */
	private writing: Promise<void> = Promise.resolve();

	private isClosed = false;

	/** @throws LifeboatError `DISK_FULL` or `WRITE_FAILED`. */
	async write(data: Buffer): Promise<void> {
		this.size += data.length;
		if (!this.file) {
			// Its memory may be the caller's to use again.
			this.memory.push(Buffer.from(data));
			if (this.size <= MEMORY_LIMIT) return;
			this.file = await this.create();
			this.block = Buffer.allocUnsafeSlow(BLOCK_SIZE);
			for (const part of this.memory.splice(0)) await this.gather(part);
			return;
		}
		await this.gather(data);
	}

	/** All that was written, in order. Nothing may be written any more. */
	async *read(): AsyncGenerator<Buffer, void, undefined> {
		if (!this.file) {
			yield* this.memory;
			return;
		}
		await this.append(this.sealer.update(this.block.subarray(0, this.fill)));
		await this.append([this.sealer.final()]);
		await this.writing;
		const opener = openChunks(this.cipher);
		for (let position = 0; ;) {
			// What is read is copied when it is opened, so the block can be used again.
			const { bytesRead } = await this.file.read(this.block, 0, BLOCK_SIZE, position);
			if (bytesRead === 0) break;
			position += bytesRead;
			yield* opener.update(this.block.subarray(0, bytesRead));
		}
		yield opener.final();
	}

	/** Gives back memory and disk. May be called at any time, and more than once. */
	async close(): Promise<void> {
		this.isClosed = true;
		this.memory = [];
		const { file } = this;
		this.file = undefined;
		await file?.close();
	}

	private async create(): Promise<FileHandle> {
		const path = join(tmpdir(), `${TEMPORARY_PREFIX}${randomBytes(9).toString('hex')}.spool`);
		try {
			const file = await open(path, 'wx+', 0o600);
			await rm(path);
			if (!this.isClosed) return file;
			await file.close();
			throw new Error('the spool was closed');
		} catch (error) {
			throw writeError(error, path);
		}
	}

	private async gather(data: Buffer): Promise<void> {
		for (let offset = 0; offset < data.length;) {
			const copied = data.copy(this.block, this.fill, offset);
			offset += copied;
			this.fill += copied;
			if (this.fill < BLOCK_SIZE) continue;
			this.fill = 0;
			await this.append(this.sealer.update(this.block));
		}
	}

	/** Waits for what is being written, not for these. */
	private async append(parts: readonly Buffer[]): Promise<void> {
		await this.writing;
		this.writing = this.writeOut(parts);
		// Whoever waits for it gets the error; if nobody does, since reading was given up, there is nobody to tell.
		this.writing.catch(() => {});
	}

	private async writeOut(parts: readonly Buffer[]): Promise<void> {
		try {
			for (const part of parts) {
				await this.file?.appendFile(part);
				freeMemory(part);
			}
		} catch (error) {
			throw writeError(error, `a temporary file in ${tmpdir()}`);
		}
	}
}
