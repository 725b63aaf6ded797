import { once } from 'node:events';
import type * as http from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Readable } from 'node:stream';

import { mayPass, StatusError } from './errors';
import { ATTEMPTS, backOff, open, readText, within, withLogin, type Attempt } from './exchange';
import type { WebDavTarget } from './target';

/** Milliseconds that a server gets for asking for the body; those that don't know `Expect` never ask. */
const CONTINUE_TIMEOUT = 1000;

/** Keeps apart what the source threw and what happened on the way. */
export class SourceFailed extends Error {
	constructor(override readonly cause: unknown) {
		super('The source failed');
	}
}

/**
 * Sends a stream, as fast as the server takes it. The server is asked first whether it wants it, so that a login, a full disk or a
 * lock is known before a byte is gone: a stream can be sent only once.
 *
 * @param size bytes, where known.
 * @throws SourceFailed, StatusError, or what happened on the network.
 */
export async function sendStream(
	target: WebDavTarget,
	path: string,
	source: Readable,
	{ size, headers, signal }: { size?: number; headers?: http.OutgoingHttpHeaders; signal: AbortSignal },
): Promise<void> {
	const length = size === undefined ? { 'transfer-encoding': 'chunked' } : { 'content-length': size };
	let expect: http.OutgoingHttpHeaders = { expect: '100-continue' };
	let untouched = true;
	const put = async (url: URL, authorization: http.OutgoingHttpHeaders): Promise<Attempt> => {
		const request = open(target, 'PUT', url, { ...headers, ...length, ...expect, ...authorization }, signal);
		try {
			const answer = await feed(request, source, target.timeout, () => (untouched = false));
			return { answer, repeatable: untouched };
		} finally {
			// A connection on which not all was sent can't be used again.
			if (!request.writableEnded) request.destroy();
		}
	};
	for (let attempt = 1; ; attempt += 1) {
		try {
			await readText(await withLogin(target, 'PUT', path, [], put), target.timeout);
			return;
		} catch (error) {
			if (!untouched || signal.aborted || attempt === ATTEMPTS) throw error;
			if (error instanceof StatusError && error.status === 417) expect = {};
			else if (!mayPass(error)) throw error;
		}
		await backOff(attempt, signal);
	}
}

/** Sends the body of a request, and tells when it has begun to. */
async function feed(
	request: http.ClientRequest,
	source: Readable,
	timeout: number,
	onBegin: () => void,
): Promise<http.IncomingMessage> {
	const answered = once(request, 'response') as Promise<[http.IncomingMessage]>;
	let feeding = false;
	let refusal: http.IncomingMessage | undefined;
	let failure: Error | undefined;
	// Not when the server is content: with all bytes there it does not wait for the source to end, which may still fail.
	const ended = answered.then(
		([answer]) => {
			if (answer.statusCode! < 300) return;
			refusal = answer;
			if (feeding) source.destroy();
		},
		(error: Error) => {
			failure = error;
			if (feeding) source.destroy();
		},
	);
	if (request.getHeader('expect') !== undefined) {
		request.flushHeaders();
		await within(timeout, request, mayContinue(request, ended));
		if (failure !== undefined) throw failure;
		if (refusal) return refusal;
	}
	feeding = true;
	onBegin();
	try {
		for await (const chunk of source) {
			if (!request.write(chunk)) await within(timeout, request, once(request, 'drain'));
		}
	} catch (error) {
		if (!refusal && failure === undefined) throw request.destroyed ? error : new SourceFailed(error);
	}
	if (failure !== undefined) throw failure;
	if (refusal) return refusal;
	request.end();
	// Servers that store the body elsewhere first may take their time for the rest.
	const [answer] = await within(5 * timeout, request, answered);
	return answer;
}

async function mayContinue(request: http.ClientRequest, answered: Promise<unknown>): Promise<void> {
	const over = new AbortController();
	try {
		await Promise.race([
			answered,
			once(request, 'continue', { signal: over.signal }),
			// From when the connection stands.
			once(request, 'socket', { signal: over.signal }).then(() =>
				sleep(CONTINUE_TIMEOUT, undefined, { signal: over.signal }),
			),
		]);
	} finally {
		over.abort();
	}
}
