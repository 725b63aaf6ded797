import type { BlobDownloadResponseParsed } from '@azure/storage-blob';
import type { Readable } from 'node:stream';

import { LifeboatError } from '../../errors';
import { checkedRange } from '../range';
import { lengthUnknown, replaced, resumable } from '../resume';
import type { GetOptions } from '../storage';

import { azureError, hasStatus, mayPass } from './errors';
import { once, repeat, type AzureTarget } from './target';

/** Opens an object; see `resumable`. @throws what the SDK throws. */
export async function download(
	target: AzureTarget,
	key: string,
	what: string,
	{ signal, range }: GetOptions,
): Promise<Readable> {
	const client = target.container.getBlobClient(key);
	const begin = range?.start ?? 0;
	const count = range?.end === undefined ? undefined : range.end - begin + 1;
	const first = await repeat(target, signal, () =>
		// Its signal would end the body, too.
		client.download(begin, count, signal && { abortSignal: signal }),
	);
	const length = announced(first, what);
	if (range) {
		try {
			assertRange(first, length, range, what);
		} catch (error) {
			bodyOf(first).destroy();
			throw error;
		}
	}
	return resumable({
		...{ what, length, signal, timeout: target.timeout, patience: target.patience },
		mayPass: (error) => mayPass(cutConnection(error)),
		first: bodyOf(first),
		reopen: async (received, stop) => {
			const conditions = first.etag === undefined ? {} : { conditions: { ifMatch: first.etag } };
			const rest = await once(target, stop, () =>
				client.download(begin + received, length - received, { abortSignal: stop, ...conditions }),
			);
			return bodyOf(rest);
		},
		describe(error) {
			if (hasStatus(error, 404, 412, 416)) return replaced(what, error);
			return azureError(signal?.aborted ? error : cutConnection(error), `Downloading ${what}`);
		},
	});
}

/** The SDK calls it an abort when the connection is cut within a body. */
function cutConnection(error: unknown): unknown {
	if (!(error instanceof Error) || error.name !== 'AbortError') return error;
	return Object.assign(new Error('The connection was cut', { cause: error }), { code: 'ECONNRESET' });
}

/** Some services answer a range behind the end with what they have; of an empty object, the whole is asked for without one. */
function assertRange(
	{ contentRange }: BlobDownloadResponseParsed,
	length: number,
	range: NonNullable<GetOptions['range']>,
	what: string,
): void {
	const [, start, total] = /^bytes (\d+)-\d+\/(\d+)$/.exec(contentRange ?? '') ?? [];
	const expected = checkedRange(total === undefined ? length : Number(total), range, what);
	if (Number(start ?? 0) === expected.start && length === expected.length) return;
	throw new LifeboatError(
		'STORAGE_FAILED',
		`The service sent another part of ${what} than it was asked for`,
		{
			hint: 'Something between n8n and the storage (a proxy) does not support ranges',
		},
	);
}

function bodyOf(answer: BlobDownloadResponseParsed): Readable {
	// In Node it is always a stream of node:stream.
	return answer.readableStreamBody as Readable;
}

function announced(answer: BlobDownloadResponseParsed, what: string): number {
	if (answer.contentLength !== undefined) return answer.contentLength;
	bodyOf(answer).destroy();
	throw lengthUnknown(what);
}
