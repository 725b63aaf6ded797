import { Duplex } from 'node:stream';
import type { Zlib } from 'node:zlib';

import { LifeboatError, messageOf } from '../errors';

/** A decompressor of node:zlib. */
type Engine = Duplex & Zlib;

type Callback = (error?: Error | null) => void;

/** Beyond so many frames they must hold something on average, in bytes: each takes an engine, and so time, even if it is empty. */
const MOST_FRAMES = 1_000;
const LEAST_IN_FRAME = 1024;

/**
 * A decompressor of node:zlib that reads its input to the end, and fails with `DAMAGED`.
 *
 * node:zlib by itself ends without an error, and without the rest, when a zstd frame ends within a write and another one
 * follows. That happens with concatenated files, and with what node:zlib's own compressor writes: where the end comes
 * while a write is under way, it adds an empty frame (both seen on Node 24.21). Here a new engine takes over for the rest.
 */
export class DecompressStream extends Duplex {
	private engine: Engine;

	/** The write that the engine has not taken all of yet. */
	private current: { bytes: Buffer; before: number; callback: Callback } | undefined;

	private frames = 0;

	/** Bytes taken and given by all engines, as far as they have ended. */
	private handled = 0;

	constructor(private readonly createEngine: () => Engine) {
		super();
		this.engine = this.start();
	}

	override _write(bytes: Buffer, _encoding: BufferEncoding, callback: Callback): void {
		const { engine } = this;
		const current = { bytes, before: engine.bytesWritten, callback };
		this.current = current;
		// An engine whose frame ends within the write calls back early, late, or never: `engineEnded` takes up what it left.
		engine.write(bytes, (error) => {
			if (error || this.current !== current || this.leftBy(engine).length > 0) return;
			this.current = undefined;
			callback();
		});
	}

	override _final(callback: Callback): void {
		this.engine.once('end', () => callback());
		this.engine.end();
	}

	override _read(): void {
		this.engine.resume();
	}

	override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
		this.engine.destroy();
		callback(error);
	}

	private start(): Engine {
		const engine = this.createEngine();
		engine.on('data', (data: Buffer) => {
			this.handled += data.length;
			if (!this.push(data)) engine.pause();
		});
		engine.on('error', (error) => this.destroy(damaged(error)));
		engine.on('end', () => this.engineEnded());
		return engine;
	}

	private leftBy(engine: Engine): Buffer {
		const { bytes, before } = this.current!;
		return bytes.subarray(engine.bytesWritten - before);
	}

	private engineEnded(): void {
		const { current, engine } = this;
		if (!current) {
			this.push(null);
			return;
		}
		const left = this.leftBy(engine);
		this.current = undefined;
		this.handled += engine.bytesWritten;
		this.frames += 1;
		engine.destroy();
		if (this.frames > MOST_FRAMES && this.handled < this.frames * LEAST_IN_FRAME) {
			this.destroy(damaged('it holds hardly anything in very many frames, as only a hostile file does'));
			return;
		}
		this.engine = this.start();
		if (left.length > 0) this._write(left, 'binary', current.callback);
		else current.callback();
	}
}

function damaged(cause: unknown): LifeboatError {
	return new LifeboatError(
		'DAMAGED',
		`The compressed data is damaged or was cut short: ${messageOf(cause)}`,
		{
			hint: 'Do not use this copy. Take the same backup from another destination, or an older one',
			cause,
		},
	);
}
