import {
	AbortMultipartUploadCommand,
	CompleteMultipartUploadCommand,
	ListMultipartUploadsCommand,
	ListPartsCommand,
	UploadPartCommand,
	type CompletedPart,
	type MultipartUpload,
	type Part,
} from '@aws-sdk/client-s3';
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';

import { LifeboatError } from '../../errors';
import { persist } from '../persist';

import type { S3Target } from './client';
import { isMissing, mayPass } from './errors';
import { MAX_PARTS, partsInFlight, type PartReader, type PartSizes } from './parts';
import type { WriteParams } from './write-params';

/** What all parts of an upload share. */
export interface UploadRequest {
	key: string;
	contentType: string | undefined;
	/** Goes into the object's metadata: marks it as coming from this very upload. */
	id: string;
	/** Have the service compare what it receives with checksums. */
	checksums: boolean;
	/** How the object is to be kept. */
	write: WriteParams;
}

/** A multipart upload whose parts are all there. */
export interface UploadedParts {
	uploadId: string;
	size: number;
	parts: CompletedPart[];
	/** Whether the service answered each part with the very checksum of what was sent. */
	confirmed: boolean;
}

/**
 * Sends a stream in parts, several at once, each from a buffer of its own that is used again: memory is bounded. Parts that are there
 * already, and hold the same bytes, are not sent again. It is left to the caller to complete or to abort the upload.
 *
 * The SDK's own `Upload` isn't used: it can't let parts grow where the size isn't known, on abort it neither ends its requests
 * nor waits for them before it aborts the upload, which so may stay behind, and it can't be taken up again.
 *
 * @param first the first part, already read into its buffer.
 */
export async function sendParts(
	target: S3Target,
	request: UploadRequest,
	reader: PartReader,
	first: Buffer,
	sizes: PartSizes,
	{ uploadId: UploadId, existing }: { uploadId: string; existing: ReadonlyMap<number, Part> },
	signal: AbortSignal,
): Promise<UploadedParts> {
	const { Bucket, Key } = { Bucket: target.bucket, Key: request.key };
	let confirmed = true;
	const parts: CompletedPart[] = [];
	const inFlight = new Set<Promise<void>>();
	const free: Buffer[] = [];
	const failure = new AbortController();
	const stop = AbortSignal.any([signal, failure.signal]);
	stop.addEventListener('abort', () => reader.cancel(stop.reason), { once: true });
	let size = 0;

	const send = async (PartNumber: number, Body: Buffer): Promise<void> => {
		const there = existing.get(PartNumber);
		const md5 = there || request.checksums ? createHash('md5').update(Body).digest() : undefined;
		if (there && there.Size === Body.length && isMd5(there.ETag, md5)) {
			parts.push({ PartNumber, ETag: there.ETag });
			return;
		}
		const { ETag } = await persist({ patience: target.patience, signal: stop, mayPass }, () =>
			target.client.send(
				new UploadPartCommand({
					...{ Bucket, Key, UploadId, PartNumber, Body, ContentLength: Body.length },
					...(md5 && { ContentMD5: md5.toString('base64') }),
				}),
				{ abortSignal: stop },
			),
		);
		confirmed &&= isMd5(ETag, md5);
		parts.push({ PartNumber, ETag });
	};

	try {
		let body = first;
		for (let partNumber = 1; body.length > 0; partNumber += 1) {
			if (partNumber > MAX_PARTS) {
				throw new LifeboatError('FILE_TOO_LARGE', `${Key} needs more than ${MAX_PARTS} parts`, {
					hint: 'Hand the backup over as a file: its size is then known before, and the parts chosen to fit',
				});
			}
			size += body.length;
			const buffer = body;
			const sent = send(partNumber, buffer).then(
				() => {
					free.push(buffer);
				},
				(error: unknown) => failure.abort(error),
			);
			inFlight.add(sent);
			void sent.then(() => inFlight.delete(sent));
			if (reader.ended) break;
			const partSize = sizes(partNumber + 1);
			while (inFlight.size >= partsInFlight(partSize) && !stop.aborted) await Promise.race(inFlight);
			stop.throwIfAborted();
			body = await reader.fill(takeBuffer(free, partSize));
		}
		await Promise.all(inFlight);
		stop.throwIfAborted();
	} catch (error) {
		const cause = failure.signal.aborted ? (failure.signal.reason as unknown) : error;
		failure.abort();
		await Promise.all(inFlight);
		throw cause;
	}
	parts.sort((a, b) => a.PartNumber! - b.PartNumber!);
	return { uploadId: UploadId, size, parts, confirmed };
}

/** Whether an ETag is the MD5 of what was sent. With encryption by keys it never is. */
export function isMd5(etag: string | undefined, md5: Buffer | undefined): boolean {
	return md5 !== undefined && etag?.replaceAll('"', '') === md5.toString('hex');
}

/** A buffer of exactly this capacity; those of another size are let go. */
function takeBuffer(free: Buffer[], size: number): Buffer {
	for (let buffer = free.pop(); buffer; buffer = free.pop()) {
		// A part cut short is only ever the last one.
		if (buffer.length === size) return buffer;
	}
	return Buffer.allocUnsafeSlow(size);
}

/** Makes the object appear. */
export async function completeUpload(
	target: S3Target,
	key: string,
	{ uploadId, parts }: UploadedParts,
	ifNoneMatch: boolean,
	signal: AbortSignal,
): Promise<void> {
	await persist({ patience: target.patience, signal, mayPass }, () =>
		target.client.send(
			new CompleteMultipartUploadCommand({
				...{ Bucket: target.bucket, Key: key, UploadId: uploadId, MultipartUpload: { Parts: parts } },
				...(ifNoneMatch && { IfNoneMatch: '*' }),
			}),
			{ abortSignal: signal },
		),
	);
}

/**
 * Removes an upload that was not completed, with its parts, and makes sure that nothing is left: a part that was on its way
 * meanwhile can survive the first request (so says the API reference of AbortMultipartUpload).
 */
export async function abortUpload(target: S3Target, key: string, uploadId: string): Promise<void> {
	const upload = { Bucket: target.bucket, Key: key, UploadId: uploadId };
	for (let attempt = 1; ; attempt += 1) {
		try {
			await target.client.send(new AbortMultipartUploadCommand(upload));
			await target.client.send(new ListPartsCommand(upload));
		} catch (error) {
			if (isMissing(error)) return;
			throw error;
		}
		if (attempt === 5) {
			throw new LifeboatError('STORAGE_FAILED', `The unfinished upload of ${key} is still there`, {
				hint: 'Remove unfinished uploads in that bucket, or let a lifecycle rule do so',
			});
		}
		await sleep(200 * attempt);
	}
}

/** All unfinished uploads whose key starts with a prefix. */
export async function* listUploads(
	target: S3Target,
	prefix: string,
	signal?: AbortSignal,
): AsyncGenerator<MultipartUpload> {
	let marker: { KeyMarker?: string; UploadIdMarker?: string } = {};
	for (;;) {
		const page = await target.client.send(
			new ListMultipartUploadsCommand({ Bucket: target.bucket, Prefix: prefix, ...marker }),
			{ abortSignal: signal },
		);
		yield* page.Uploads ?? [];
		if (!page.IsTruncated || !page.NextKeyMarker) return;
		marker = {
			KeyMarker: page.NextKeyMarker,
			...(page.NextUploadIdMarker && { UploadIdMarker: page.NextUploadIdMarker }),
		};
	}
}
