import type { Client, Connection, Submittable } from 'pg';

import type { Wire } from '../connection';

import { errorIn, MessageScanner, type ServerError } from './protocol';

/** What the server answered to one request. */
export interface RawAnswer {
	/** All messages up to and with ReadyForQuery. */
	bytes: Buffer;
	error: ServerError | undefined;
}

/**
 * Sends a request as it is over the connection of an idle client, and gives the answer as it is.
 *
 * An ErrorResponse is an answer too; this only fails when the connection does.
 */
export async function exchangeRaw(client: Client, request: Uint8Array): Promise<RawAnswer> {
	return new Promise((resolve, reject) => {
		client.query(new RawExchange(request, resolve, reject));
	});
}

/** A query object of `pg` that takes over the socket's data for the time of one request. */
class RawExchange implements Submittable {
	private readonly scanner = new MessageScanner();

	private readonly pieces: Buffer[] = [];

	private wire: Wire | undefined;

	private parser: ((data: Buffer) => void) | undefined;

	constructor(
		private readonly request: Uint8Array,
		private readonly resolve: (answer: RawAnswer) => void,
		private readonly reject: (error: unknown) => void,
	) {}

	submit(connection: Connection): void {
		this.wire = connection as unknown as Wire;
		const { stream } = this.wire;
		this.parser = stream.listeners('data')[0] as (data: Buffer) => void;
		stream.off('data', this.parser);
		stream.on('data', this.receive);
		stream.write(this.request);
	}

	private readonly receive = (data: Buffer): void => {
		this.scanner.push(data);
		this.pieces.push(data);
		if (!this.scanner.isBetweenMessages || this.scanner.lastType !== 0x5a) return;
		const parser = this.release();
		const bytes = Buffer.concat(this.pieces);
		// `pg` learns from this that the next query may go.
		parser?.(bytes.subarray(-6));
		this.resolve({ bytes, error: this.scanner.sawError ? errorIn(bytes) : undefined });
	};

	private release(): ((data: Buffer) => void) | undefined {
		const { wire, parser } = this;
		if (!wire || !parser) return undefined;
		wire.stream.off('data', this.receive);
		wire.stream.on('data', parser);
		this.parser = undefined;
		return parser;
	}

	handleError(error: unknown): void {
		this.release();
		this.reject(error);
	}

	handleReadyForQuery(): void {
		// resolved when the bytes were complete
	}
}
