import { HeadObjectCommand, PutObjectCommand, type HeadObjectCommandOutput } from '@aws-sdk/client-s3';
import { randomUUID } from 'node:crypto';
import type { Readable } from 'node:stream';

import { LifeboatError, messageOf } from '../../errors';
import type { PutOptions, StoredObject } from '../storage';

import { withClaim } from './claim';
import type { S3Target } from './client';
import { hasStatus, isMissing, isNotImplemented } from './errors';
import { abortUpload, completeUpload, sendParts, type UploadRequest } from './multipart';
import { PartReader, partSizes } from './parts';

/** Name of the object's metadata that tells which upload wrote it. */
const UPLOAD_ID = 'lifeboat-upload';

/** Stores a stream: in one request if it fits into a part, else in parts. @throws as `Storage.put`, errors of the SDK unchanged. */
export async function upload(
	target: S3Target,
	key: string,
	source: Readable,
	{ size, ifExists = 'fail', contentType, signal = new AbortController().signal }: PutOptions,
): Promise<StoredObject> {
	const onlyNew = ifExists === 'fail';
	const request: UploadRequest = { key, contentType, metadata: { [UPLOAD_ID]: randomUUID() } };
	const reader = new PartReader(source);
	const cancel = () => reader.cancel(signal.reason);
	signal.addEventListener('abort', cancel, { once: true });
	try {
		signal.throwIfAborted();
		if (onlyNew) await assertFree(target, key, signal);
		const sizes = partSizes(size, target.equalParts);
		const first = await reader.fill(Buffer.allocUnsafeSlow(Math.min(sizes(1), size ?? Infinity) || 1));
		if (reader.ended) {
			assertLength(key, size, first.length);
			const etag = await putWhole(target, request, first, onlyNew, signal);
			if (etag) return { key, size: first.length, modifiedAt: new Date(), version: etag };
			return await stored(target, request, first.length, signal);
		}
		const sent = await putParts(target, request, reader, first, { size, sizes, onlyNew, signal });
		return await stored(target, request, sent, signal);
	} finally {
		signal.removeEventListener('abort', cancel);
		source.destroy();
	}
}

async function putWhole(
	target: S3Target,
	request: UploadRequest,
	body: Buffer,
	onlyNew: boolean,
	signal: AbortSignal,
): Promise<string | undefined> {
	const put = (condition: { IfNoneMatch?: '*' }) =>
		target.client.send(
			new PutObjectCommand({
				...{ Bucket: target.bucket, Key: request.key, Body: body, ContentLength: body.length },
				...{ ContentType: request.contentType, Metadata: request.metadata, ...condition },
			}),
			{ abortSignal: signal },
		);
	try {
		return (await put(onlyNew ? { IfNoneMatch: '*' } : {})).ETag;
	} catch (error) {
		if (onlyNew && isNotImplemented(error)) {
			const free = () => assertFree(target, request.key, signal);
			return withClaim(target, request.key, signal, free, async () => {
				await free();
				return (await put({})).ETag;
			});
		}
		if (await isOurs(target, request, error)) return undefined;
		throw conflict(target, request.key, error);
	}
}

interface PartsOptions {
	size: number | undefined;
	sizes: (partNumber: number) => number;
	onlyNew: boolean;
	signal: AbortSignal;
}

async function putParts(
	target: S3Target,
	request: UploadRequest,
	reader: PartReader,
	first: Buffer,
	{ size, sizes, onlyNew, signal }: PartsOptions,
): Promise<number> {
	const { key } = request;
	let uploadId: string | undefined;
	try {
		const sent = await sendParts(target, request, reader, first, sizes, (id) => (uploadId = id), signal);
		assertLength(key, size, sent.size);
		const free = () => assertFree(target, key, signal);
		const complete = async () => {
			if (onlyNew) await free();
			try {
				await completeUpload(target, key, sent, onlyNew && target.conditionalCompletion, signal);
			} catch (error) {
				if (!(await isOurs(target, request, error))) throw conflict(target, key, error);
			}
		};
		if (onlyNew && !target.conditionalCompletion) {
			await withClaim(target, key, signal, free, complete);
		} else await complete();
		return sent.size;
	} catch (error) {
		if (uploadId !== undefined) await abort(target, key, uploadId, error);
		throw error;
	}
}

async function abort(target: S3Target, key: string, uploadId: string, error: unknown): Promise<void> {
	try {
		await abortUpload(target, key, uploadId);
	} catch (abortError) {
		throw new LifeboatError(
			error instanceof LifeboatError ? error.code : 'STORAGE_FAILED',
			`${key} was not stored in ${target.description}, and its unfinished upload could not be removed`,
			{
				hint: 'Remove unfinished uploads later: they cost space. Nothing is visible under the key',
				cause: new AggregateError([error, abortError], messageOf(error)),
			},
		);
	}
}

/**
 * Whether the object is what this upload sent, although the service answered with an error: when an answer was lost, the
 * SDK's repetition meets its own success (412 to a conditional put, 404 to a completion).
 */
async function isOurs(target: S3Target, request: UploadRequest, error: unknown): Promise<boolean> {
	if (![404, 409, 412].some((status) => hasStatus(error, status))) return false;
	const there = await head(target, request.key);
	return there?.Metadata?.[UPLOAD_ID] === request.metadata[UPLOAD_ID];
}

async function assertFree(target: S3Target, key: string, signal: AbortSignal): Promise<void> {
	if (await head(target, key, signal)) throw alreadyExists(target, key);
}

function conflict(target: S3Target, key: string, error: unknown): unknown {
	return hasStatus(error, 412) || hasStatus(error, 409) ? alreadyExists(target, key, error) : error;
}

function alreadyExists(target: S3Target, key: string, cause?: unknown): LifeboatError {
	return new LifeboatError('ALREADY_EXISTS', `${key} already exists in ${target.description}`, {
		hint: 'Choose another key, or allow the existing one to be replaced',
		cause,
	});
}

function assertLength(key: string, expected: number | undefined, found: number): void {
	if (expected === undefined || expected === found) return;
	throw new LifeboatError(
		'INCOMPLETE',
		`The source of ${key} should have ${expected} bytes, but ${found} came`,
		{ hint: 'It was cut short, or something changed it meanwhile. Run the node again' },
	);
}

async function stored(
	target: S3Target,
	{ key }: UploadRequest,
	size: number,
	signal: AbortSignal,
): Promise<StoredObject> {
	const there = await head(target, key, signal);
	return {
		key,
		size,
		modifiedAt: there?.LastModified ?? new Date(),
		...(there?.ETag !== undefined && { version: there.ETag }),
	};
}

/** What the service says of an object; nothing if it isn't there. */
export async function head(
	target: S3Target,
	key: string,
	signal?: AbortSignal,
): Promise<HeadObjectCommandOutput | undefined> {
	try {
		return await target.client.send(new HeadObjectCommand({ Bucket: target.bucket, Key: key }), {
			abortSignal: signal,
		});
	} catch (error) {
		if (isMissing(error)) return undefined;
		throw error;
	}
}
