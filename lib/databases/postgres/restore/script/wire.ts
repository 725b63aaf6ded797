import { once } from 'node:events';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';

import type { Client, Connection, DatabaseError, Submittable } from 'pg';

import type { GiveBack } from '../../../../streams/buffer-pool';

const QUERY = 0x51;
const COPY_DATA = 0x64;
const COPY_DONE = 0x63;
const COPY_FAIL = 0x66;
const largestCopyMessage = 2 ** 20;

/** Rows that wait for the socket: enough for the source to be read on meanwhile. */
const MOST_WAITING = 2 ** 20;

/** An error of the server, with how many statements of the message had been completed before. */
export class BatchError extends Error {
	constructor(
		override readonly cause: DatabaseError | Error,
		readonly completed: number,
	) {
		super(cause.message);
	}
}

/**
 * One message of PostgreSQL's simple query protocol, sent as the bytes it stands in.
 *
 * `pg` itself encodes all SQL as UTF-8, which would corrupt a script in another client encoding, and has no way to tell
 * which statement of several failed.
 */
class RawQuery implements Submittable {
	/** The command tags, such as `INSERT 0 1`, one a statement that was completed. */
	readonly tags: string[] = [];

	readonly done: Promise<void>;

	/** Resolves once the server wants rows; never, if it fails or ends before. */
	readonly copyReady: Promise<void>;

	settled = false;

	private resolve!: () => void;

	private reject!: (error: unknown) => void;

	private startCopy!: () => void;

	constructor(private readonly body: readonly Buffer[]) {
		this.done = new Promise((resolve, reject) => {
			this.resolve = resolve;
			this.reject = reject;
		});
		this.copyReady = new Promise((resolve) => {
			this.startCopy = resolve;
		});
		// Whoever waits learns of it; nobody may be waiting yet.
		this.done.catch(() => {});
	}

	submit(connection: Connection): void {
		const stream = streamOf(connection);
		const length = this.body.reduce((sum, part) => sum + part.length, 0);
		const header = Buffer.alloc(5);
		header[0] = QUERY;
		header.writeUInt32BE(length + 5, 1);
		stream.cork();
		stream.write(header);
		for (const part of this.body) stream.write(part);
		stream.write(Buffer.of(0));
		stream.uncork();
	}

	handleRowDescription(): void {}

	handleDataRow(): void {}

	handlePortalSuspended(): void {}

	handleParseComplete(): void {}

	handleEmptyQuery(): void {}

	handleCommandComplete(message: { text: string }): void {
		this.tags.push(message.text);
	}

	handleCopyInResponse(): void {
		this.startCopy();
	}

	handleCopyData(): void {}

	handleError(error: DatabaseError | Error): void {
		this.settled = true;
		this.reject(new BatchError(error, this.tags.length));
	}

	handleReadyForQuery(): void {
		this.settled = true;
		this.resolve();
	}
}

/**
 * Runs statements in one round trip, in the bytes they stand in.
 *
 * @returns the command tags. @throws BatchError
 */
export async function runRaw(client: Client, statements: readonly Buffer[]): Promise<string[]> {
	const separator = Buffer.from(';\n');
	const query = new RawQuery(statements.flatMap((sql) => [sql, separator]));
	client.query(query);
	await query.done;
	return query.tags;
}

/**
 * Runs a `COPY ... FROM STDIN` and sends it its rows, as fast as the server takes them.
 *
 * @param giveBack takes pieces of the rows once they are sent.
 * @returns the number of rows loaded. @throws BatchError when the server refuses; what `rows` throws passes unchanged.
 */
export async function copyRaw(
	client: Client,
	statement: Buffer,
	rows: AsyncIterable<Buffer>,
	onBytes?: (bytes: number) => void,
	giveBack?: GiveBack,
): Promise<number> {
	const query = new RawQuery([statement]);
	client.query(query);
	await Promise.race([query.copyReady, query.done]);
	const stream = streamOf((client as unknown as { connection: Connection }).connection);
	// Only the system's own socket is known to be done with what it has written.
	const release = stream instanceof Socket ? giveBack : undefined;
	try {
		for await (const chunk of rows) {
			if (query.settled) break;
			const size = chunk.length;
			for (let from = 0; from < size; from += largestCopyMessage) {
				const isWhole = chunk.length <= largestCopyMessage;
				const data = isWhole ? chunk : chunk.subarray(from, from + largestCopyMessage);
				const drains = sendCopyData(stream, data, isWhole ? release : undefined);
				if (!drains && stream.writableLength > MOST_WAITING && !query.settled) await drained(stream, query);
			}
			onBytes?.(size);
		}
	} catch (error) {
		if (!query.settled) {
			stream.write(message(COPY_FAIL, Buffer.from('the rows could not be read\0')));
			await query.done.catch(() => {});
		}
		throw error;
	}
	if (!query.settled) stream.write(message(COPY_DONE, Buffer.alloc(0)));
	await query.done;
	return rowsOf(query.tags[0]);
}

/** The number of rows in a command tag such as `COPY 5` or `INSERT 0 5`. */
export function rowsOf(tag: string | undefined): number {
	return Number(/ (\d+)$/.exec(tag ?? '')?.[1] ?? 0);
}

function sendCopyData(stream: Duplex, data: Buffer, release: GiveBack | undefined): boolean {
	const header = Buffer.allocUnsafe(5);
	header[0] = COPY_DATA;
	header.writeUInt32BE(data.length + 4, 1);
	stream.cork();
	stream.write(header);
	const more = release ? stream.write(data, () => release(data)) : stream.write(data);
	stream.uncork();
	return more;
}

async function drained(stream: Duplex, query: RawQuery): Promise<void> {
	const waiting = new AbortController();
	try {
		// A query that fails (the rest of the rows is then ignored) or a lost connection end the waiting too.
		await Promise.race([once(stream, 'drain', { signal: waiting.signal }), query.done.catch(() => {})]);
	} finally {
		waiting.abort();
	}
}

function message(type: number, body: Buffer): Buffer {
	const result = Buffer.alloc(5 + body.length);
	result[0] = type;
	result.writeUInt32BE(4 + body.length, 1);
	body.copy(result, 5);
	return result;
}

function streamOf(connection: Connection): Duplex {
	return (connection as unknown as { stream: Duplex }).stream;
}
