import { randomBytes } from 'node:crypto';
import { open, rm, type FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { TEMPORARY_PREFIX, writeError } from '../../streams/atomic-file';
import { openChunks, payloadCipher, sealChunks } from '../chunks';

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

	private isClosed = false;

	/** @throws LifeboatError `DISK_FULL` or `WRITE_FAILED`. */
	async write(data: Buffer): Promise<void> {
		this.size += data.length;
		if (!this.file) {
			// Its memory may be the caller's to use again.
			this.memory.push(Buffer.from(data));
			if (this.size <= MEMORY_LIMIT) return;
			this.file = await this.create();
			for (const part of this.memory.splice(0)) await this.append(this.sealer.update(part));
			return;
		}
		await this.append(this.sealer.update(data));
	}

	/** All that was written, in order. Nothing may be written any more. */
	async *read(): AsyncGenerator<Buffer, void, undefined> {
		if (!this.file) {
			yield* this.memory;
			return;
		}
		await this.append([this.sealer.final()]);
		const opener = openChunks(this.cipher);
		for (let position = 0; ;) {
			const { bytesRead, buffer } = await this.file.read(
				Buffer.allocUnsafe(BLOCK_SIZE),
				0,
				BLOCK_SIZE,
				position,
			);
			if (bytesRead === 0) break;
			position += bytesRead;
			yield* opener.update(buffer.subarray(0, bytesRead));
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
		try {
			for (const part of parts) await this.file?.appendFile(part);
		} catch (error) {
			throw writeError(error, `a temporary file in ${tmpdir()}`);
		}
	}
}
