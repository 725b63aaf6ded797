import { GetObjectCommand, type GetObjectCommandOutput } from '@aws-sdk/client-s3';
import type { Readable } from 'node:stream';

import { LifeboatError } from '../../errors';
import { lengthUnknown, replaced, resumable } from '../resume';
import type { GetOptions } from '../storage';

import type { S3Target } from './client';
import { hasStatus, mayPass, s3Error } from './errors';

/** Opens an object; see `resumable`. @throws what the SDK throws. */
export async function download(
	target: S3Target,
	key: string,
	{ signal, range }: GetOptions,
): Promise<Readable> {
	const what = `${key} in ${target.description}`;
	const request = (abortSignal?: AbortSignal, start?: number, end?: number, etag?: string) =>
		target.client.send(
			new GetObjectCommand({
				...{ Bucket: target.bucket, Key: key },
				...(start !== undefined && { Range: `bytes=${start}-${end ?? ''}` }),
				...(etag && { IfMatch: etag }),
			}),
			{ abortSignal },
		);
	const first = await request(signal, range?.start, range?.end);
	const length = announced(first, what);
	if (range && first.$metadata.httpStatusCode !== 206) {
		bodyOf(first).destroy();
		throw new LifeboatError('STORAGE_FAILED', `${target.description} cannot read a part of an object`, {
			hint: 'The service does not support ranges',
		});
	}
	const begin = range?.start ?? 0;
	return resumable({
		...{ what, length, signal, mayPass, timeout: target.timeout, patience: target.patience },
		first: bodyOf(first),
		reopen: async (received, stop) =>
			bodyOf(await request(stop, begin + received, begin + length - 1, first.ETag)),
		describe: (error) =>
			hasStatus(error, 412) ? replaced(what, error) : s3Error(error, `Downloading ${what}`),
	});
}

function bodyOf(answer: GetObjectCommandOutput): Readable {
	// In Node it is always a stream of node:stream.
	return answer.Body as Readable;
}

function announced(answer: GetObjectCommandOutput, what: string): number {
	if (answer.ContentLength !== undefined) return answer.ContentLength;
	bodyOf(answer).destroy();
	throw lengthUnknown(what);
}
