import { once } from 'node:events';
import * as http from 'node:http';
import * as https from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Readable } from 'node:stream';

import { mayPass, StatusError } from './errors';
import { addressOf, type WebDavTarget } from './target';

/** Milliseconds that a server gets for asking for the body; those that don't know `Expect` never ask. */
const CONTINUE_TIMEOUT = 1000;

/** How often a request is sent before its failure counts. */
const ATTEMPTS = 5;

/** Largest answer that is kept whole: what a folder of about half a million files takes. */
const MAX_TEXT = 256 * 1024 * 1024;

export interface WebDavRequest {
	headers?: http.OutgoingHttpHeaders;
	body?: Buffer;
	signal?: AbortSignal | undefined;
	/** Milliseconds for the answer to begin; that of the target unless given. */
	timeout?: number;
}

/** Keeps apart what the source threw and what happened on the way. */
export class SourceFailed extends Error {
	constructor(override readonly cause: unknown) {
		super('The source failed');
	}
}

/**
 * Sends a request that may be sent twice, again and again with backoff while the trouble may pass. The caller reads the body, or
 * destroys it.
 *
 * @param accepted other statuses than 2xx that are no failure.
 * @throws StatusError, or what happened on the network.
 */
export async function send(
	target: WebDavTarget,
	method: string,
	path: string,
	request: WebDavRequest = {},
	accepted: readonly number[] = [],
): Promise<http.IncomingMessage> {
	return await repeat(request.signal, () => sendOnce(target, method, path, request, accepted));
}

/** As `send`, but only once. */
export async function sendOnce(
	target: WebDavTarget,
	method: string,
	path: string,
	{ headers, body, signal, timeout = target.timeout }: WebDavRequest,
	accepted: readonly number[] = [],
): Promise<http.IncomingMessage> {
	return await withLogin(target, method, path, accepted, async (url, authorization) => {
		const request = open(target, method, url, { ...headers, ...authorization }, signal);
		const answered = once(request, 'response') as Promise<[http.IncomingMessage]>;
		request.end(body);
		const [answer] = await within(timeout, request, answered);
		return { answer, repeatable: true };
	});
}

/** As `send`, and reads the answer to its end. */
export async function sendForText(
	...args: Parameters<typeof send>
): Promise<{ status: number; text: string }> {
	const [target, method, path, request = {}, accepted] = args;
	return await repeat(request.signal, async () => {
		const answer = await sendOnce(target, method, path, request, accepted);
		return { status: answer.statusCode ?? 0, text: await readText(answer, target.timeout) };
	});
}

/** Does something several times while the trouble may pass, with backoff. */
export async function repeat<Result>(
	signal: AbortSignal | undefined,
	run: () => Promise<Result>,
): Promise<Result> {
	for (let attempt = 1; ; attempt += 1) {
		try {
			return await run();
		} catch (error) {
			if (signal?.aborted || attempt === ATTEMPTS || !mayPass(error)) throw error;
		}
		await backOff(attempt, signal);
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

interface Attempt {
	answer: http.IncomingMessage;
	/** Whether the request can be sent again. */
	repeatable: boolean;
}

/** Runs a request, once more if the server asks for a login, and makes errors of the answers that aren't accepted. */
async function withLogin(
	target: WebDavTarget,
	method: string,
	path: string,
	accepted: readonly number[],
	run: (url: URL, authorization: http.OutgoingHttpHeaders) => Promise<Attempt>,
): Promise<http.IncomingMessage> {
	const url = addressOf(target, path);
	for (let attempt = 1; ; attempt += 1) {
		const authorization = target.login.header(method, url);
		const { answer, repeatable } = await run(url, authorization === undefined ? {} : { authorization });
		const status = answer.statusCode ?? 0;
		if ((status >= 200 && status < 300) || accepted.includes(status)) return answer;
		const { location } = answer.headers;
		// What is read to its end leaves a connection that can be used again.
		if (repeatable) await readText(answer, target.timeout).catch(() => answer.destroy());
		else answer.destroy();
		if (status === 401 && repeatable && attempt < 3 && target.login.learn(answer, authorization)) continue;
		throw new StatusError(status, location);
	}
}

function open(
	target: WebDavTarget,
	method: string,
	url: URL,
	headers: http.OutgoingHttpHeaders,
	signal: AbortSignal | undefined,
): http.ClientRequest {
	signal?.throwIfAborted();
	const { request } = url.protocol === 'https:' ? https : http;
	const { agent } = target;
	// Compressed on the way, its length and its bytes would not be those that are stored.
	const all = { 'accept-encoding': 'identity', 'user-agent': 'n8n-nodes-lifeboat', ...headers };
	const opened = request(url, { method, agent, headers: all, ...(signal && { signal }) });
	// Whoever waits for something learns of it there.
	opened.on('error', () => {});
	return opened;
}

/** Waits for something of a request, and ends it when that takes too long. */
async function within<Result>(
	timeout: number,
	request: http.ClientRequest,
	waiting: Promise<Result>,
): Promise<Result> {
	const over = new AbortController();
	const late = sleep(timeout, undefined, { signal: over.signal }).then(() => {
		const error = Object.assign(new Error('The server does not answer'), { code: 'ETIMEDOUT' });
		request.destroy(error);
		throw error;
	});
	try {
		return await Promise.race([waiting, late]);
	} finally {
		over.abort();
	}
}

async function readText(answer: http.IncomingMessage, timeout: number): Promise<string> {
	const chunks: Buffer[] = [];
	let size = 0;
	const timer = setTimeout(
		() => answer.destroy(Object.assign(new Error('stalled'), { code: 'ETIMEDOUT' })),
		timeout,
	);
	try {
		for await (const chunk of answer as AsyncIterable<Buffer>) {
			timer.refresh();
			size += chunk.length;
			if (size > MAX_TEXT) throw new Error('its answer is longer than 256 MiB');
			chunks.push(chunk);
		}
	} finally {
		clearTimeout(timer);
	}
	return Buffer.concat(chunks).toString();
}

/** Longer with each attempt, and never the same for two clients. */
async function backOff(attempt: number, signal: AbortSignal | undefined): Promise<void> {
	const delay = (0.5 + Math.random() / 2) * 100 * 2 ** attempt;
	await sleep(delay, undefined, signal && { signal });
}
