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
import { setTimeout as sleep } from 'node:timers/promises';

import { LifeboatError } from '../../errors';
import { sendParts, type PartReader, type PartSizes } from '../parts';
import { persist } from '../persist';

import { checksumOf } from './checksums';
import type { S3Target } from './client';
import { isMissing, mayPass } from './errors';
import { MAX_PARTS } from './parts';
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
 * Sends a stream in parts; see `sendParts`. Those that are there already, and hold the same bytes, are not sent again. It is left to
 * the caller to complete or to abort the upload.
 *
 * The SDK's own `Upload` isn't used: it can't let parts grow where the size isn't known, on abort it neither ends its requests
 * nor waits for them before it aborts the upload, which so may stay behind, and it can't be taken up again.
 *
 * @param first the first part, already read into its buffer.
 */
export async function uploadParts(
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
	const size = await sendParts(reader, { sizes, first, signal }, async (PartNumber, Body, stop) => {
		if (PartNumber > MAX_PARTS) throw tooManyParts(Key);
		const there = existing.get(PartNumber);
		const checksum = there || request.checksums ? checksumOf(Body, target.checksum) : undefined;
		if (there && there.Size === Body.length && checksum!.isShownBy(there)) {
			parts.push({ PartNumber, ETag: there.ETag, ...checksum!.ofPart });
			return;
		}
		const answer = await persist({ patience: target.patience, signal: stop, mayPass }, () =>
			target.client.send(
				new UploadPartCommand({
					...{ Bucket, Key, UploadId, PartNumber, Body, ContentLength: Body.length },
					...checksum?.fields,
				}),
				{ abortSignal: stop },
			),
		);
		confirmed &&= checksum?.isShownBy(answer) ?? false;
		parts.push({ PartNumber, ETag: answer.ETag, ...checksum?.ofPart });
	});
	parts.sort((a, b) => a.PartNumber! - b.PartNumber!);
	return { uploadId: UploadId, size, parts, confirmed };
}

function tooManyParts(key: string): LifeboatError {
	return new LifeboatError('FILE_TOO_LARGE', `${key} needs more than ${MAX_PARTS} parts`, {
		hint: 'Hand the backup over as a file: its size is then known before, and the parts chosen to fit',
	});
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
