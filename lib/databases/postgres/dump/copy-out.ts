import type { Client, Connection, Submittable } from 'pg';

import type { Wire } from '../connection';

import { LargeReadSocket } from './large-reads';
import { queryMessage } from './protocol';

/**
 * The size of the pieces that rows are given on in. Fewer, larger pieces leave the thread more time; the first ones are small, for most
 * tables are, too.
 */
const pieceSize = { first: 8 * 1024, growth: 8, most: 512 * 1024 };
/** The server is not listened to while so many bytes wait to be taken. */
const highWaterMark = 2 * pieceSize.most;
/** Below it a loop is faster than a call of `copy`. */
const shortMessage = 40;
const headLength = 5;
const copyData = 0x64;
const copyDone = 0x63;
const errorResponse = 0x45;

/**
 * Reads the rows of a COPY ... TO stdout, in its text format.
 *
 * `pg-copy-streams` does the same; this one exists for the speed with short rows, of which each is a message of its own, and
 * because it sends the statement's bytes as they are.
 *
 * @param sql its bytes as Latin-1 characters, so that names in any encoding reach the server unchanged.
 * @returns how many rows they were, as the server counts them; `undefined` if it didn't say.
 */
export async function* copyOut(client: Client, sql: string): AsyncGenerator<Buffer, number | undefined> {
	const query = new CopyOut(queryMessage(sql));
	client.query(query);
	return yield* query.pieces();
}

class CopyOut implements Submittable {
	private wire: Wire | undefined;

	private parser: ((data: Buffer) => void) | undefined;

	private readonly full: Buffer[] = [];

	/** Of the pieces that are full. */
	private fullBytes = 0;

	private piece: Buffer = Buffer.alloc(0);

	private pieceLength = 0;

	private nextSize = pieceSize.first;

	private readonly head = Buffer.alloc(headLength);

	private headRead = 0;

	/** Bytes of the current message that are still to come. */
	private remaining = 0;

	private isData = false;

	private rows: number | undefined;

	private end: { error?: unknown } | undefined;

	private wake: () => void = () => undefined;

	constructor(private readonly request: Buffer) {}

	async *pieces(): AsyncGenerator<Buffer, number | undefined> {
		for (;;) {
			const piece = this.full.shift();
			if (piece) {
				this.fullBytes -= piece.length;
				if (this.parser && this.fullBytes < highWaterMark / 2) this.wire?.stream.resume();
				yield piece;
				continue;
			}
			if (this.end) {
				if ('error' in this.end) throw this.end.error;
				return this.rows;
			}
			await new Promise<void>((resolve) => (this.wake = resolve));
		}
	}

	submit(connection: Connection): void {
		this.wire = connection as unknown as Wire;
		const { stream } = this.wire;
		this.parser = stream.listeners('data')[0] as (data: Buffer) => void;
		stream.off('data', this.parser);
		if (stream instanceof LargeReadSocket) stream.borrower = this.receive;
		else stream.on('data', this.receive);
		stream.write(this.request);
	}

	private readonly receive = (data: Buffer): void => {
		const { length } = data;
		let at = 0;
		while (at < length) {
			if (this.remaining === 0) {
				if (this.headRead === 0 && length - at >= headLength) {
					if (!this.begin(data, at)) return this.release(data.subarray(at));
					at += headLength;
				} else {
					const taken = Math.min(headLength - this.headRead, length - at);
					data.copy(this.head, this.headRead, at, at + taken);
					this.headRead += taken;
					at += taken;
					if (this.headRead < headLength) return;
					this.headRead = 0;
					if (!this.begin(this.head, 0)) {
						return this.release(Buffer.concat([this.head, data.subarray(at)]));
					}
				}
			}
			const taken = Math.min(this.remaining, length - at);
			if (this.isData) this.append(data, at, at + taken);
			this.remaining -= taken;
			at += taken;
		}
		if (this.full.length > 0) {
			this.wake();
			if (this.fullBytes >= highWaterMark) this.wire?.stream.pause();
		}
	};

	/** Begins a message. @returns whether it is one of the copy's, as opposed to those that end it. */
	private begin(head: Buffer, at: number): boolean {
		const type = head[at]!;
		if (type === copyDone || type === errorResponse) return false;
		this.isData = type === copyData;
		this.remaining = head.readUInt32BE(at + 1) - 4;
		return true;
	}

	private append(data: Buffer, start: number, end: number): void {
		let from = start;
		while (from < end) {
			if (this.piece.length === 0) this.allocate();
			const { piece, pieceLength } = this;
			const taken = Math.min(end - from, piece.length - pieceLength);
			if (taken < shortMessage) for (let i = 0; i < taken; i++) piece[pieceLength + i] = data[from + i]!;
			else data.copy(piece, pieceLength, from, from + taken);
			this.pieceLength += taken;
			from += taken;
			if (this.pieceLength === piece.length) this.flush();
		}
	}

	private allocate(): void {
		this.piece = Buffer.allocUnsafeSlow(this.nextSize);
		this.nextSize = Math.min(this.nextSize * pieceSize.growth, pieceSize.most);
	}

	private flush(): void {
		if (this.pieceLength > 0) this.full.push(this.piece.subarray(0, this.pieceLength));
		this.fullBytes += this.pieceLength;
		this.piece = Buffer.alloc(0);
		this.pieceLength = 0;
	}

	/** Gives the socket back to `pg`, with what was read of it beyond the copy. */
	private release(rest?: Buffer): void {
		const { wire, parser } = this;
		if (!wire || !parser) return;
		this.parser = undefined;
		if (wire.stream instanceof LargeReadSocket) wire.stream.borrower = undefined;
		else wire.stream.off('data', this.receive);
		wire.stream.on('data', parser);
		wire.stream.resume();
		// A copy, for the parser keeps what is no whole message yet.
		if (rest) parser(Buffer.from(rest));
	}

	handleCommandComplete({ text }: { text: string }): void {
		const count = /^COPY (\d+)$/.exec(text)?.[1];
		this.rows = count === undefined ? undefined : Number(count);
	}

	handleError(error: unknown): void {
		this.release();
		this.end ??= { error };
		this.wake();
	}

	handleReadyForQuery(): void {
		this.flush();
		this.end ??= {};
		this.wake();
	}
}
