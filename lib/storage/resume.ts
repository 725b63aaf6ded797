import { pipeline, type Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';

import { LifeboatError } from '../errors';
import { abortable } from '../streams/chain';
import { ExactLength } from '../streams/exact-length';

import { persist } from './persist';

/** How often in a row a download is taken up again without a byte in between. */
const ATTEMPTS = 5;

/** A download that can be taken up where it ended. */
export interface ResumableDownload {
	/** Such as `nightly/shop.sql in container backups`. */
	what: string;
	/** Bytes that must come. */
	length: number;
	/** The body of the first answer. */
	first: Readable;
	/** Opens the rest. Throws if the object isn't the same any more. */
	reopen: (received: number, signal: AbortSignal) => Promise<Readable>;
	/** Whether the trouble may go away by itself. */
	mayPass: (error: unknown) => boolean;
	/** Makes of what went wrong what the reader shall see. */
	describe: (error: unknown) => unknown;
	/** Milliseconds without a byte after which a connection counts as dead. */
	timeout: number;
	/** Milliseconds for which an outage is bridged. */
	patience: number;
	signal?: AbortSignal | undefined;
}

/**
 * The bytes of a download. A connection that breaks, or stalls, is taken up where it ended; if that doesn't help, the stream fails.
 * It ends only after exactly the announced bytes.
 */
export function resumable(download: ResumableDownload): Readable {
	const result = new ExactLength(download.length, download.what);
	abortable(result, download.signal);
	const source = ({ signal }: { signal: AbortSignal }) => read(download, signal);
	pipeline(
		// Node hands the signal, which tells that the result was destroyed, to a source that is a function; its types don't say so.
		source as () => AsyncGenerator<Buffer>,
		result,
		(error) => {
			if (error && !result.destroyed) result.destroy(error);
		},
	);
	// The pipeline may be destroyed before it asks for the first chunk.
	result.once('close', () => download.first.destroy());
	return result;
}

/** What to throw when the object is not the one any more of which the first bytes came. */
export function replaced(what: string, cause?: unknown): LifeboatError {
	return new LifeboatError('INCOMPLETE', `${what} was replaced while it was read`, {
		hint: 'Run the node again',
		cause,
	});
}

/** What to throw for an answer without Content-Length. */
export function lengthUnknown(what: string): LifeboatError {
	return new LifeboatError('STORAGE_FAILED', `The server does not say how many bytes ${what} has`, {
		hint: 'Something between n8n and the storage (a proxy) removes Content-Length. Without it a download that was cut cannot be told from a whole one',
	});
}

async function* read(download: ResumableDownload, stop: AbortSignal): AsyncGenerator<Buffer> {
	const { length, timeout, patience, mayPass } = download;
	let received = 0;
	let body: Readable | undefined = download.first;
	for (let attempt = 1; ; attempt += 1) {
		try {
			body ??= await persist({ patience, signal: stop, mayPass }, () => download.reopen(received, stop));
			for await (const chunk of chunks(body, timeout, stop)) {
				attempt = 1;
				received += chunk.length;
				yield chunk;
			}
			// An end that comes too early is a cut connection; one too late is found by who counts.
			if (received >= length) return;
			throw Object.assign(new Error('ended early'), { code: 'ECONNRESET' });
		} catch (error) {
			if (stop.aborted || attempt >= ATTEMPTS || !mayPass(error)) throw download.describe(error);
		} finally {
			body?.destroy();
			body = undefined;
		}
		await sleep(Math.random() * 100 * 2 ** attempt, undefined, { signal: stop });
	}
}

/** The chunks of a body; it is destroyed when nothing comes for a while, though not while nobody asks for more. */
async function* chunks(body: Readable, timeout: number, stop: AbortSignal): AsyncGenerator<Buffer> {
	let waiting = true;
	const onStop = () => body.destroy();
	stop.addEventListener('abort', onStop, { once: true });
	const timer = setTimeout(() => {
		if (waiting) body.destroy(Object.assign(new Error('The server sends nothing'), { code: 'ETIMEDOUT' }));
	}, timeout);
	try {
		for await (const chunk of body as AsyncIterable<Buffer>) {
			waiting = false;
			yield chunk;
			waiting = true;
			timer.refresh();
		}
	} finally {
		clearTimeout(timer);
		stop.removeEventListener('abort', onStop);
	}
}
