import { Duplex } from 'node:stream';

/** The message with which a client says goodbye. @see https://www.postgresql.org/docs/current/protocol-message-formats.html */
const TERMINATE = Buffer.from([0x58, 0, 0, 0, 4]);

/** What a socket talks to. */
export interface PgliteLine {
	/** What the server said when it was first greeted: each client after that hears the same. */
	readonly greeting: Uint8Array;
	/** Sends bytes; the callback comes when they have been taken. */
	send(bytes: Buffer, taken: (error?: Error | null) => void): void;
}

/**
 * One client's connection to PGlite, in place of a network socket. The server itself knows but one session, which goes on when
 * a client leaves: so the greeting and the goodbye happen here.
 */
export class PgliteSocket extends Duplex {
	private isGreeted = false;

	constructor(private readonly line: PgliteLine) {
		super({ allowHalfOpen: false });
	}

	/** Called by `pg` in place of `net.Socket.connect`. */
	connect(): this {
		process.nextTick(() => this.emit('connect'));
		return this;
	}

	setNoDelay(): this {
		return this;
	}

	setKeepAlive(): this {
		return this;
	}

	setTimeout(): this {
		return this;
	}

	ref(): this {
		return this;
	}

	unref(): this {
		return this;
	}

	override _read(): void {
		// What the server says is pushed as it comes.
	}

	override _write(chunk: Buffer, _encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
		if (!this.isGreeted) {
			// The startup packet: `pg` sends it in one piece, and nothing else before the answer.
			this.isGreeted = true;
			this.push(this.line.greeting);
			callback();
		} else if (chunk.equals(TERMINATE)) {
			this.push(null);
			callback();
		} else this.line.send(chunk, callback);
	}

	override _writev(
		chunks: { chunk: Buffer; encoding: BufferEncoding }[],
		callback: (error?: Error | null) => void,
	): void {
		const all = chunks.map(({ chunk }) => chunk);
		const isGoodbye = all.at(-1)!.equals(TERMINATE);
		const rest = isGoodbye ? all.slice(0, -1) : all;
		const end = (error?: Error | null) => {
			if (isGoodbye) this.push(null);
			callback(error);
		};
		if (rest.length === 0) end();
		else if (this.isGreeted) this.line.send(Buffer.concat(rest), end);
		else this._write(Buffer.concat(rest), 'utf8', end);
	}
}
