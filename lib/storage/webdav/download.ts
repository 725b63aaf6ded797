import type { IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';

import { LifeboatError } from '../../errors';
import { checkedRange } from '../range';
import { replaced, resumable } from '../resume';
import type { GetOptions } from '../storage';

import { hasStatus, mayPass, webDavError } from './errors';
import { send, sendOnce } from './exchange';
import { plainETag, type WebDavEntry } from './propfind';
import type { WebDavTarget } from './target';

/**
 * Opens an object; see `resumable`.
 *
 * @param object what the server tells of it: what it sends must fit.
 * @throws StatusError, or what happened on the network, and as `Storage.get`.
 */
export async function download(
	target: WebDavTarget,
	path: string,
	object: WebDavEntry,
	what: string,
	{ signal, range }: GetOptions,
): Promise<Readable> {
	const { start: begin, end, length } = checkedRange(object.size, range, what);
	const headers = range && { range: `bytes=${begin}-${end}` };
	const first = await send(target, 'GET', path, { ...(headers && { headers }), signal });
	try {
		assertFits(target, what, first, { begin, length, size: object.size });
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

/** Fails unless an answer holds just what was asked for, of an object of this size. */
function assertFits(
	target: WebDavTarget,
	what: string,
	answer: IncomingMessage,
	{ begin, length, size }: { begin: number; length: number; size: number },
): void {
	const part = contentRange(answer);
	if (part?.size !== undefined && part.size !== size) throw otherSize(target, what, size, part.size);
	if (part) {
		if (part.start !== begin || part.end !== begin + length - 1) throw cannotReadParts(target);
		return;
	}
	// Chunked by a proxy, the answer doesn't tell.
	const said = Number(answer.headers['content-length'] ?? size);
	if (said !== size) throw otherSize(target, what, size, said);
	if (length !== size) throw cannotReadParts(target);
}

/** What tells an object from another one under the same path; nothing on servers that don't say. */
function identify({ headers }: IncomingMessage): string | undefined {
	if (headers.etag !== undefined) return plainETag(headers.etag);
	return headers['last-modified'];
}

function contentRange({
	statusCode,
	headers,
}: IncomingMessage): { start: number; end: number; size?: number } | undefined {
	const match = statusCode === 206 && /^bytes (\d+)-(\d+)\/(\d+|\*)/.exec(headers['content-range'] ?? '');
	if (!match) return undefined;
	const [, start, end, size] = match;
	return { start: Number(start), end: Number(end), ...(size !== '*' && { size: Number(size) }) };
}

function otherSize(
	{ description }: WebDavTarget,
	what: string,
	expected: number,
	sent: number,
): LifeboatError {
	return new LifeboatError(
		'INCOMPLETE',
		`The server of ${description} says that ${what} has ${expected} bytes, but sends ${sent}`,
		{
			hint: 'It was replaced at this moment: run the node again. Or a proxy changes what passes, such as by compressing it: switch that off',
		},
	);
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
