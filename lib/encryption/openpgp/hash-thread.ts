import { createHash, type Hash } from 'node:crypto';
import path from 'node:path';
import { Worker } from 'node:worker_threads';

import { LifeboatError } from '../../errors';

import type { HashAnswer, HashRequest } from './hash.worker';

const PIECE_SIZE = 256 * 1024;

/** Pieces that may wait to be hashed. What is shorter than all of them isn't worth a thread. */
const PIECES = 8;

/**
 * SHA-1 (FIPS 180-4) of a long stream, calculated in another thread while this one makes the bytes: it is what takes longest where a message is
 * proven.
 */
export class HashThread {
	/** Filled and not hashed yet, in order. */
	private readonly waiting: Buffer[] = [];

	private readonly free: Buffer[] = [];

	private filling: Buffer | undefined;

	private fill = 0;

	private worker: Worker | undefined;

	private isClosed = false;

	/** Where there is no thread: for what is short, and where none could be started. */
	private local: Hash | undefined;

	private hasAnswered = false;

	private result: Buffer | undefined;

	private failure: LifeboatError | undefined;

	private wake = (): void => {};

	/** @param data may be used again afterwards. @throws LifeboatError `THREAD_LOST`. */
	async update(data: Buffer): Promise<void> {
		for (let offset = 0; offset < data.length;) {
			this.filling ??= this.free.pop() ?? Buffer.from(new SharedArrayBuffer(PIECE_SIZE));
			const copied = data.copy(this.filling, this.fill, offset);
			offset += copied;
			this.fill += copied;
			if (this.fill === PIECE_SIZE) this.hand(this.filling);
			while (this.waiting.length >= PIECES) await this.change();
		}
	}

	/** The hash of all that came. Nothing may come any more. @throws LifeboatError `THREAD_LOST`. */
	async digest(): Promise<Buffer> {
		if (this.filling) this.hand(this.filling.subarray(0, this.fill));
		if (this.failure) throw this.failure;
		if (!this.worker) this.hashHere();
		this.worker?.postMessage(undefined satisfies HashRequest);
		while (!this.local && !this.result) await this.change();
		return this.result ?? this.local!.digest();
	}

	/** Ends the thread. May be called at any time, and more than once. */
	async close(): Promise<void> {
		this.isClosed = true;
		await this.worker?.terminate();
	}

	private hand(piece: Buffer): void {
		// What a thread had hashed is gone with it: to begin anew would give a hash, but not that of all that came.
		if (this.failure) throw this.failure;
		this.waiting.push(piece);
		this.filling = undefined;
		this.fill = 0;
		if (this.local) this.hashHere();
		else if (this.worker) this.worker.postMessage(piece satisfies HashRequest);
		else if (this.waiting.length === PIECES) this.start();
	}

	private start(): void {
		if (this.isClosed) throw new Error('the hash was closed');
		try {
			// The same extension as this file: `.js` when compiled, `.ts` where TypeScript runs as it is.
			this.worker = new Worker(path.join(__dirname, `hash.worker${path.extname(__filename)}`));
		} catch {
			this.hashHere();
			return;
		}
		this.worker.on('message', (answer: HashAnswer) => {
			if (this.local) return;
			this.hasAnswered = true;
			if (answer) this.result = Buffer.from(answer);
			else this.free.push(this.waiting.shift()!);
			this.wake();
		});
		this.worker.on('error', (error) => this.lost(error));
		this.worker.on('exit', () => this.lost());
		for (const piece of this.waiting) this.worker.postMessage(piece satisfies HashRequest);
	}

	/** The thread is gone. Nothing is lost with one that has never done anything: where no thread starts, this one does the work. */
	private lost(error?: unknown): void {
		this.worker = undefined;
		if (this.hasAnswered || this.isClosed) {
			this.failure ??= new LifeboatError(
				'THREAD_LOST',
				'The thread that hashes the OpenPGP message broke down',
				{
					hint: 'n8n may be short of memory. Give it more, and try again',
					cause: error,
				},
			);
		} else {
			this.hashHere();
		}
		this.wake();
	}

	private hashHere(): void {
		this.local ??= createHash('sha1');
		for (const piece of this.waiting.splice(0)) {
			this.local.update(piece);
			this.free.push(piece);
		}
	}

	/** Waits until the thread says something. */
	private async change(): Promise<void> {
		if (!this.failure) await new Promise<void>((resolve) => (this.wake = resolve));
		if (this.failure) throw this.failure;
	}
}
