import { LifeboatError, messageOf } from '../../errors';
import type { PartReader } from '../parts';
import type { PutOptions } from '../storage';
import { wrongLength } from '../taken';

import { withClaim } from './claim';
import type { S3Target } from './client';
import { mayPass } from './errors';
import {
	abortUpload,
	completeUpload,
	uploadParts,
	type UploadedParts,
	type UploadRequest,
} from './multipart';
import { assertFree, conflict, isOurs, UPLOAD_ID } from './object';
import { closeSession, leaveSession, openSession, type UploadSession } from './session';

interface PartsOptions {
	size: number | undefined;
	sizes: (partNumber: number) => number;
	onlyNew: boolean;
	resumable: PutOptions['resumable'];
	signal: AbortSignal;
}

/** What was sent has been kept for the next try. */
export class UploadKept extends Error {
	constructor(override readonly cause: unknown) {
		super('The upload was cut off');
	}
}

/**
 * Stores a stream in parts, taking up an earlier try where there is one.
 *
 * @returns also the id of the upload, which is that of the earlier try where it was taken up.
 * @throws UploadKept, and what the SDK throws.
 */
export async function putParts(
	target: S3Target,
	request: UploadRequest,
	reader: PartReader,
	first: Buffer,
	{ size, sizes, onlyNew, resumable, signal }: PartsOptions,
): Promise<UploadedParts & { id: string }> {
	const { key } = request;
	const content =
		resumable && size !== undefined ? { size, sha256: resumable.sha256, partSize: sizes(1) } : undefined;
	const create = {
		...{ Bucket: target.bucket, Key: key, ContentType: request.contentType },
		Metadata: { [UPLOAD_ID]: request.id },
		...request.write,
		...(request.checksums && target.checksum === 'SHA-256' && { ChecksumAlgorithm: 'SHA256' as const }),
	};
	const session = await openSession(target, request, create, content, signal);
	const mine = { ...request, id: session.record.id };
	try {
		const sent = await uploadParts(target, request, reader, first, sizes, session, signal);
		assertLength(key, size, sent.size);
		const free = () => assertFree(target, key, signal);
		const complete = async (whileMine: AbortSignal) => {
			if (onlyNew) await free();
			try {
				await completeUpload(target, key, sent, onlyNew && target.conditionalCompletion, whileMine);
			} catch (error) {
				if (!(await isOurs(target, mine, error))) throw conflict(target, key, error);
			}
		};
		if (onlyNew && !target.conditionalCompletion) {
			await withClaim(target, key, signal, free, complete);
		} else await complete(signal);
		await closeSession(target, session);
		return { ...sent, id: mine.id };
	} catch (error) {
		if (content && !signal.aborted && mayPass(error)) {
			await leaveSession(target, session);
			throw new UploadKept(error);
		}
		await abort(target, key, session, error);
		throw error;
	}
}

async function abort(target: S3Target, key: string, session: UploadSession, error: unknown): Promise<void> {
	try {
		await abortUpload(target, key, session.uploadId);
		await closeSession(target, session);
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

/** @throws LifeboatError `INCOMPLETE`. */
export function assertLength(key: string, expected: number | undefined, found: number): void {
	if (expected === undefined || expected === found) return;
	throw wrongLength(key, expected, found);
}
