import { PutObjectCommand, type PutObjectCommandOutput } from '@aws-sdk/client-s3';
import { randomUUID } from 'node:crypto';
import type { Readable } from 'node:stream';

import { codeOf } from '../../errors';
import { PartReader } from '../parts';
import type { PutOptions, StoredObject } from '../storage';

import { checksumOf, type Checksum } from './checksums';
import { withClaim } from './claim';
import type { S3Target } from './client';
import { ensureKept, withdraw } from './ensure-kept';
import { isNotImplemented } from './errors';
import type { UploadRequest } from './multipart';
import { assertFree, conflict, described, head, isOurs, UPLOAD_ID, versionOf } from './object';
import { partSizes } from './parts';
import { assertLength, putParts } from './put-parts';
import { needsChecksum, writeParams } from './write-params';

/** Stores a stream: in one request if it fits into a part, else in parts. @throws as `Storage.put`, errors of the SDK unchanged. */
export async function upload(
	target: S3Target,
	key: string,
	source: Readable,
	options: PutOptions,
): Promise<StoredObject> {
	const { size, ifExists = 'fail', contentType, resumable, checksums = false } = options;
	const { signal = new AbortController().signal } = options;
	const onlyNew = ifExists === 'fail';
	// Where the service keeps them, they also tell later, without reading, that it is still what was sent.
	const keepsChecksums = target.checksum === 'SHA-256';
	const request: UploadRequest = {
		...{
			key,
			contentType,
			id: randomUUID(),
			checksums: checksums || keepsChecksums || needsChecksum(target.write),
		},
		write: writeParams(target.write, options.role),
	};
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
			const checksum = request.checksums ? checksumOf(first, target.checksum) : undefined;
			const answer = await putWhole(target, request, first, checksum, onlyNew, signal);
			await keep(target, request, options, signal);
			const version = versionOf(answer);
			const received = checksum?.isShownBy(answer) ? { receivedChecksum: target.checksum } : {};
			if (version !== undefined)
				return { key, size: first.length, modifiedAt: new Date(), version, ...received };
			return await stored(target, request, first.length, signal);
		}
		const sent = await putParts(target, request, reader, first, { size, sizes, onlyNew, resumable, signal });
		await keep(target, { key, id: sent.id }, options, signal);
		const received = sent.confirmed ? { receivedChecksum: `${target.checksum} of each part` } : {};
		return { ...(await stored(target, request, sent.size, signal)), ...received };
	} finally {
		signal.removeEventListener('abort', cancel);
		source.destroy();
	}
}

/** @throws LifeboatError as `ensureKept`. What can't be locked is gone then; what only can't be tagged is a backup all the same. */
async function keep(
	target: S3Target,
	uploaded: { key: string; id: string },
	{ ifExists, role }: PutOptions,
	signal: AbortSignal,
): Promise<void> {
	try {
		await ensureKept(target, uploaded.key, role, signal);
	} catch (error) {
		if (codeOf(error) === 'TAGGING_FAILED') throw error;
		await withdraw(target, uploaded, ifExists === 'replace').catch(() => {});
		throw error;
	}
}

async function putWhole(
	target: S3Target,
	request: UploadRequest,
	body: Buffer,
	checksum: Checksum | undefined,
	onlyNew: boolean,
	signal: AbortSignal,
): Promise<PutObjectCommandOutput | undefined> {
	const put = (condition: { IfNoneMatch?: '*' }, stop = signal) =>
		target.client.send(
			new PutObjectCommand({
				...{ Bucket: target.bucket, Key: request.key, Body: body, ContentLength: body.length },
				...{ ContentType: request.contentType, Metadata: { [UPLOAD_ID]: request.id }, ...condition },
				...{ ...request.write, ...checksum?.fields },
			}),
			{ abortSignal: stop },
		);
	const claimed = async () => {
		const free = () => assertFree(target, request.key, signal);
		return await withClaim(target, request.key, signal, free, async (whileMine) => {
			await free();
			return await put({}, whileMine);
		});
	};
	try {
		if (onlyNew && !target.conditionalPut) return await claimed();
		return await put(onlyNew ? { IfNoneMatch: '*' } : {});
	} catch (error) {
		if (onlyNew && target.conditionalPut && isNotImplemented(error)) return await claimed();
		if (await isOurs(target, request, error)) return undefined;
		throw conflict(target, request.key, error);
	}
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
		...(there && described(there)),
	};
}
