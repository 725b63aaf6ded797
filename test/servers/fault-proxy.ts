import { once } from 'node:events';
import {
	createServer,
	request,
	type IncomingMessage,
	type RequestOptions,
	type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';

/** What goes wrong with one exchange. */
export type Fault =
	/** The service isn't asked; this is the answer. */
	| { kind: 'answer'; status: number; body?: string; headers?: Record<string, string> }
	/** The connection to the service is cut after so many bytes of the client's body. */
	| { kind: 'cut-request'; after: number }
	/** The connection to the client is cut after so many bytes of the service's body. */
	| { kind: 'cut-response'; after: number }
	/** The service does what was asked, but the client never hears of it. */
	| { kind: 'lose-answer' }
	/** From a byte of the service's body on, nothing more comes. */
	| { kind: 'stall'; after: number }
	/** The service isn't asked, nothing of the client's body is taken, and no answer comes. */
	| { kind: 'swallow' }
	/** The service gets only so many bytes of the client's body, as if that were all. */
	| { kind: 'shorten-request'; to: number }
	/** The service never learns that only a part of its body is wanted. */
	| { kind: 'ignore-range' }
	/** Each chunk, either way, takes so many milliseconds. */
	| { kind: 'slow'; delay: number }
	/** The service's answer gets further headers: those of a service that knows more. */
	| { kind: 'add-headers'; headers: Record<string, string> }
	/** One bit of the client's body changes. */
	| { kind: 'flip-request'; at: number }
	/** One bit of the service's body changes. */
	| { kind: 'flip-response'; at: number };

export interface Exchange {
	method: string;
	/** Path and query. */
	url: string;
	headers: IncomingMessage['headers'];
}

/** An HTTP proxy in front of a real server that damages exchanges at will. */
export interface FaultProxy {
	readonly endpoint: string;
	/** All exchanges so far, such as `GET /bucket/key`. */
	readonly log: string[];
	/** Asked for each exchange. */
	onExchange: (exchange: Exchange) => Fault | undefined;
	stop(): Promise<void>;
}

/** Starts a proxy on a free loopback port. */
export async function startFaultProxy(target: string): Promise<FaultProxy> {
	const { hostname, port } = new URL(target);
	const log: string[] = [];
	const proxy: FaultProxy = {
		endpoint: '',
		log,
		onExchange: () => undefined,
		async stop() {
			server.closeAllConnections();
			server.close();
			await once(server, 'close');
		},
	};
	const server = createServer((incoming, outgoing) => {
		const { method = '', url = '', headers } = incoming;
		log.push(`${method} ${url}`);
		const fault = proxy.onExchange({ method, url, headers });
		forward(incoming, outgoing, { hostname, port, method, path: url, headers }, fault).catch(() => {
			// Either side went away: the other must learn it by its connection, not by an answer.
			incoming.destroy();
			outgoing.destroy();
		});
	}).listen(0, '127.0.0.1');
	await once(server, 'listening');
	return Object.assign(proxy, { endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
}

async function forward(
	incoming: IncomingMessage,
	outgoing: ServerResponse,
	options: RequestOptions,
	fault: Fault | undefined,
): Promise<void> {
	if (fault?.kind === 'answer') {
		await pipeline(incoming, swallow());
		outgoing
			.writeHead(fault.status, { 'content-type': 'application/xml', ...fault.headers })
			.end(fault.body ?? '');
		return;
	}
	if (fault?.kind === 'swallow') {
		await once(incoming, 'close');
		return;
	}
	if (fault?.kind === 'ignore-range') delete incoming.headers.range;
	const asked = request(options);
	const answered = once(asked, 'response') as Promise<[IncomingMessage]>;
	answered.catch(() => {});
	try {
		await pipeline(incoming, requestBody(fault), asked);
		const [answer] = await answered;
		if (fault?.kind === 'lose-answer') {
			await pipeline(answer, swallow());
			throw new Error('lost');
		}
		const more = fault?.kind === 'add-headers' ? Object.entries(fault.headers).flat() : [];
		outgoing.writeHead(answer.statusCode!, [...answer.rawHeaders, ...more]);
		if (fault?.kind === 'cut-response') await pipeline(answer, cutting(fault.after), outgoing);
		else if (fault?.kind === 'stall') await pipeline(answer, stalling(fault.after), outgoing);
		else if (fault?.kind === 'slow') await pipeline(answer, slow(fault.delay), outgoing);
		else await pipeline(answer, flipping(fault, 'flip-response'), outgoing);
	} finally {
		asked.destroy();
	}
}

function requestBody(fault: Fault | undefined): Transform {
	if (fault?.kind === 'cut-request') return cutting(fault.after);
	if (fault?.kind === 'shorten-request') return shortening(fault.to);
	return fault?.kind === 'slow' ? slow(fault.delay) : flipping(fault, 'flip-request');
}

function shortening(to: number): Transform {
	let left = to;
	return new Transform({
		transform(chunk: Buffer, _encoding, done) {
			done(null, chunk.subarray(0, Math.max(0, left)));
			left -= chunk.length;
		},
	});
}

function slow(delay: number): Transform {
	return new Transform({
		transform(chunk: Buffer, _encoding, done) {
			setTimeout(() => done(null, chunk), delay);
		},
	});
}

function swallow(): Transform {
	return new Transform({ transform: (_chunk, _encoding, done) => done() });
}

/** Lets so many bytes pass; what follows fails, after these have gone out. */
function cutting(after: number): Transform {
	let left = after;
	return new Transform({
		transform(chunk: Buffer, _encoding, done) {
			if (left > 0) this.push(chunk.subarray(0, left));
			left -= chunk.length;
			if (left > 0) done();
			else setTimeout(() => done(new Error('cut')), 20);
		},
	});
}

function stalling(after: number): Transform {
	let left = after;
	return new Transform({
		transform(chunk: Buffer, _encoding, done) {
			this.push(chunk.subarray(0, Math.max(0, left)));
			left -= chunk.length;
			// The callback is what asks for more.
			if (left > 0) done();
		},
	});
}

function flipping(fault: Fault | undefined, kind: 'flip-request' | 'flip-response'): Transform {
	let at = fault?.kind === kind ? fault.at : Infinity;
	return new Transform({
		transform(chunk: Buffer, _encoding, done) {
			if (at >= 0 && at < chunk.length) chunk[at]! ^= 1;
			at -= chunk.length;
			done(null, chunk);
		},
	});
}
