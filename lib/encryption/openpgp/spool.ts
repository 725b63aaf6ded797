import { randomBytes } from 'node:crypto';
import { open, rm, type FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { TEMPORARY_PREFIX, writeError } from '../../streams/atomic-file';
import { readAhead } from '../../streams/file-reader';
import { writeAll } from '../../streams/file-writer';
import { openChunks, openedPool, payloadCipher, sealChunks, sealedPool } from '../chunks';

/** Bytes kept in memory; only what is larger goes to disk. */
const MEMORY_LIMIT = 8 * 1024 * 1024;

/** Bytes that go to disk, or come from there, at once. */
const BLOCK_SIZE = 512 * 1024;

/**
 * Keeps bytes that must not be released yet. On disk they are encrypted with a key that only this object has, in a file that has
 * no name any more: whatever ends the process ends it, too.
 */
export class PrivateSpool {
	private readonly cipher = payloadCipher('aes-256-gcm', new Uint8Array(randomBytes(32)).buffer);

	private readonly pool = sealedPool();

	private readonly giveBack = this.pool.acceptReturns();

	private readonly sealer = sealChunks(this.cipher, this.pool);

	private memory: Buffer[] = [];

	private size = 0;

	private file: FileHandle | undefined;

	/** Sealed, and soon to be written. */
	private waiting: Buffer[] = [];

	private waitingSize = 0;

	/** Goes on while more is sealed. Its error shows when it is waited for. */
	private writing: Promise<void> = Promise.resolve();

	private isClosed = false;

	/** @param data may be used again afterwards. @throws LifeboatError `DISK_FULL` or `WRITE_FAILED`. */
	async write(data: Buffer): Promise<void> {
		this.size += data.length;
		if (this.file) {
			await this.append(this.sealer.update(data));
			return;
		}
		this.memory.push(Buffer.from(data));
		if (this.size <= MEMORY_LIMIT) return;
		this.file = await this.create();
		for (const part of this.memory.splice(0)) await this.append(this.sealer.update(part));
	}

	/** All that was written, in order. Nothing may be written any more. A piece is good until the next one is asked for. */
	async *read(): AsyncGenerator<Buffer, void, undefined> {
		if (!this.file) {
			yield* this.memory;
			return;
		}
		await this.append([this.sealer.final()]);
		await this.flush();
		await this.writing;
		const pool = openedPool();
		const giveBack = pool.acceptReturns();
		const opener = openChunks(this.cipher, pool);
		for await (const block of readAhead(this.file, {}, BLOCK_SIZE)) {
			for (const piece of opener.update(block)) {
				yield piece;
				giveBack(piece);
			}
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

	private async append(parts: readonly Buffer[]): Promise<void> {
		for (const part of parts) {
			this.waiting.push(part);
			this.waitingSize += part.length;
		}
		if (this.waitingSize >= BLOCK_SIZE) await this.flush();
	}

	/** Waits for what is being written, not for what is waiting now. */
	private async flush(): Promise<void> {
		await this.writing;
		this.writing = this.writeOut(this.waiting);
		// Whoever waits for it gets the error; if nobody does, since reading was given up, there is nobody to tell.
		this.writing.catch(() => {});
		this.waiting = [];
		this.waitingSize = 0;
	}

	private async writeOut(parts: readonly Buffer[]): Promise<void> {
		if (!this.file) throw new Error('the spool was closed');
		try {
			await writeAll(this.file, parts);
		} catch (error) {
			throw writeError(error, `a temporary file in ${tmpdir()}`);
		}
		for (const part of parts) this.giveBack(part);
	}
}
