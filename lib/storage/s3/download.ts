import { GetObjectCommand, type GetObjectCommandOutput } from '@aws-sdk/client-s3';
import { pipeline, type Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';

import { abortable } from '../../streams/chain';
import { LifeboatError } from '../../errors';
import { ExactLength } from '../../streams/exact-length';
import type { GetOptions } from '../storage';

import type { S3Target } from './client';
import { hasStatus, isConnectionError, s3Error } from './errors';
import { persist } from './persist';

/** How often in a row a download is taken up again without a byte in between. */
const ATTEMPTS = 5;

/**
 * Opens an object. A connection that breaks, or stalls, is taken up where it ended, as long as the object is still the same
 * one; if that doesn't help, the stream fails. It ends only after exactly the announced bytes.
 */
export async function download(
	target: S3Target,
	key: string,
	{ signal, range }: GetOptions,
): Promise<Readable> {
	const what = `${key} in ${target.description}`;
	const request = (start?: number, end?: number, etag?: string) =>
		target.client.send(
			new GetObjectCommand({
				...{ Bucket: target.bucket, Key: key },
				...(start !== undefined && { Range: `bytes=${start}-${end ?? ''}` }),
				...(etag && { IfMatch: etag }),
			}),
			{ abortSignal: signal },
		);
	const first = await request(range?.start, range?.end);
	const length = announced(first, what);
	if (range && first.$metadata.httpStatusCode !== 206) {
		bodyOf(first).destroy();
		throw new LifeboatError('STORAGE_FAILED', `${target.description} cannot read a part of an object`, {
			hint: 'The service does not support ranges',
		});
	}
	const begin = range?.start ?? 0;
	const result = new ExactLength(length, what);
	abortable(result, signal);
	const source = ({ signal: stop }: { signal: AbortSignal }) => read(stop);
	pipeline(
		// Node hands the signal, which tells that the result was destroyed, to a source that is a function; its types don't say so.
		source as () => AsyncGenerator<Buffer>,
		result,
		(error) => {
			if (error && !result.destroyed) result.destroy(error);
		},
	);
	return result;

	async function* read(stop: AbortSignal): AsyncGenerator<Buffer> {
		let received = 0;
		let body: Readable | undefined = bodyOf(first);
		for (let attempt = 1; ; attempt += 1) {
			try {
				body ??= bodyOf(
					await persist(target.patience, stop, () =>
						request(begin + received, begin + length - 1, first.ETag),
					),
				);
				for await (const chunk of chunks(body, target.timeout, stop)) {
					attempt = 1;
					received += chunk.length;
					yield chunk;
				}
				// An end that comes too early is a cut connection; one too late is found by who counts.
				if (received >= length) return;
				throw Object.assign(new Error('ended early'), { code: 'ECONNRESET' });
			} catch (error) {
				if (hasStatus(error, 412)) throw replaced(what, error);
				if (stop.aborted || attempt >= ATTEMPTS || !isConnectionError(error)) {
					throw s3Error(error, `Downloading ${what}`);
				}
			} finally {
				body?.destroy();
				body = undefined;
			}
			await sleep(Math.random() * 100 * 2 ** attempt, undefined, { signal: stop });
		}
	}
}

function replaced(what: string, cause: unknown): LifeboatError {
	return new LifeboatError('INCOMPLETE', `${what} was replaced while it was read`, {
		hint: 'Run the node again',
		cause,
	});
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

function bodyOf(answer: GetObjectCommandOutput): Readable {
	// In Node it is always a stream of node:stream.
	return answer.Body as Readable;
}

function announced(answer: GetObjectCommandOutput, what: string): number {
	if (answer.ContentLength !== undefined) return answer.ContentLength;
	bodyOf(answer).destroy();
	throw new LifeboatError('STORAGE_FAILED', `The server does not say how many bytes ${what} has`, {
		hint: 'Something between n8n and the storage (a proxy) removes Content-Length. Without it a download that was cut cannot be told from a whole one',
	});
}
