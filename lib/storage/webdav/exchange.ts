import { once } from 'node:events';
import * as http from 'node:http';
import * as https from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';

import { mayPass, StatusError } from './errors';
import { addressOf, type WebDavTarget } from './target';

/** How often a request is sent before its failure counts. */
export const ATTEMPTS = 5;

/** Largest answer that is kept whole: what a folder of about half a million files takes. */
const MAX_TEXT = 256 * 1024 * 1024;

export interface WebDavRequest {
	headers?: http.OutgoingHttpHeaders;
	body?: Buffer;
	signal?: AbortSignal | undefined;
	/** Milliseconds for the answer to begin; that of the target unless given. */
	timeout?: number;
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

/** How one try of a request ended. */
export interface Attempt {
	answer: http.IncomingMessage;
	/** Whether the request can be sent again. */
	repeatable: boolean;
}

/** Runs a request, once more if the server asks for a login, and makes errors of the answers that aren't accepted. */
export async function withLogin(
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

/** Begins a request; its body and its answer are left to the caller, and so are its errors. */
export function open(
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
export async function within<Result>(
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

/** An answer to its end. @param timeout milliseconds without a byte. */
export async function readText(answer: http.IncomingMessage, timeout: number): Promise<string> {
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
export async function backOff(attempt: number, signal: AbortSignal | undefined): Promise<void> {
	const delay = (0.5 + Math.random() / 2) * 100 * 2 ** attempt;
	await sleep(delay, undefined, signal && { signal });
}
