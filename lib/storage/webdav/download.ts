import type { IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';

import { LifeboatError } from '../../errors';
import { checkedRange } from '../range';
import { replaced, resumable } from '../resume';
import type { GetOptions } from '../storage';

import { hasStatus, mayPass, webDavError } from './errors';
import { send, sendOnce } from './exchange';
import { lookUp, plainETag } from './propfind';
import type { WebDavTarget } from './target';

/** Opens an object; see `resumable`. @throws StatusError, or what happened on the network, and as `Storage.get`. */
export async function download(
	target: WebDavTarget,
	path: string,
	what: string,
	{ signal, range }: GetOptions,
): Promise<Readable> {
	const headers = range && { range: `bytes=${range.start}-${range.end ?? ''}` };
	const first = await send(target, 'GET', path, { ...(headers && { headers }), signal });
	try {
		const { begin, length } = await extent(target, path, what, first, { signal, range });
		const identity = identify(first);
		return resumable({
			...{ what, length, first, mayPass, signal, timeout: target.timeout, patience: target.patience },
			async reopen(received, stop) {
				// Not repeated: that is left to who asks for the rest.
				const rest = await sendOnce(target, 'GET', path, {
					headers: { range: `bytes=${begin + received}-${begin + length - 1}` },
					signal: stop,
				});
				const same = identity !== undefined && identify(rest) === identity;
				if (same && contentRange(rest)?.start === begin + received) return rest;
				rest.destroy();
				if (same || identity === undefined) throw cannotResume(target, what);
				throw replaced(what);
			},
			describe(error) {
				const gone = hasStatus(error, 404, 412, 416);
				return gone ? replaced(what, error) : webDavError(error, `Downloading ${what}`);
			},
		});
	} catch (error) {
		first.destroy();
		throw error;
	}
}

/** Where the answer begins in the object, and how many bytes it must have. */
async function extent(
	target: WebDavTarget,
	path: string,
	what: string,
	answer: IncomingMessage,
	{ signal, range }: GetOptions,
): Promise<{ begin: number; length: number }> {
	const said = answer.headers['content-length'];
	const part = contentRange(answer);
	// Compressed or chunked by a proxy, the answer doesn't tell; what came less than it should could not be told from all of it.
	const length = said === undefined ? undefined : Number(said);
	if (!range) return { begin: 0, length: length ?? (await sizeOf(target, path, what, signal)) };
	if (part) {
		if (part.start !== range.start) throw cannotReadParts(target);
		return { begin: part.start, length: part.end - part.start + 1 };
	}
	const size = length ?? (await sizeOf(target, path, what, signal));
	const asked = checkedRange(size, range, what);
	// All of it was asked for, and all of it comes.
	if (asked.start === 0 && asked.length === size) return { begin: 0, length: size };
	throw cannotReadParts(target);
}

async function sizeOf(
	target: WebDavTarget,
	path: string,
	what: string,
	signal: AbortSignal | undefined,
): Promise<number> {
	const entry = await lookUp(target, path, signal);
	if (entry && !entry.isFolder) return entry.size;
	throw replaced(what);
}

/** What tells an object from another one under the same path; nothing on servers that don't say. */
function identify({ headers }: IncomingMessage): string | undefined {
	if (headers.etag !== undefined) return plainETag(headers.etag);
	return headers['last-modified'];
}

function contentRange({ statusCode, headers }: IncomingMessage): { start: number; end: number } | undefined {
	const match = statusCode === 206 && /^bytes (\d+)-(\d+)\//.exec(headers['content-range'] ?? '');
	return match ? { start: Number(match[1]), end: Number(match[2]) } : undefined;
}

function cannotReadParts(target: WebDavTarget): LifeboatError {
	return new LifeboatError(
		'STORAGE_FAILED',
		`The server of ${target.description} cannot read a part of a file`,
		{
			hint: 'It does not support ranges (it sent the whole file, or another part). Let it, or the proxy before it, support them',
		},
	);
}

function cannotResume({ description }: WebDavTarget, what: string): LifeboatError {
	return new LifeboatError('CONNECTION_FAILED', `Downloading ${what} failed: the connection was cut`, {
		hint: `It could not be taken up where it ended, because the server of ${description} does not support that. Run the node again`,
	});
}
