import {
	CreateMultipartUploadCommand,
	GetObjectCommand,
	ListObjectsV2Command,
	ListPartsCommand,
	PutObjectCommand,
	type CreateMultipartUploadCommandInput,
	type Part,
} from '@aws-sdk/client-s3';
import { createHash, randomUUID } from 'node:crypto';

import { z } from 'zod/v4';

import { LifeboatError } from '../../errors';
import { TEMPORARY_PREFIX } from '../../streams/atomic-file';
import { baseName } from '../keys';
import { isDead, parseOwner, self } from '../owner';

import type { S3Target } from './client';
import { isMissing } from './errors';
import { abortUpload, type UploadRequest } from './multipart';
import { removeTemporary } from './remove';
import { writeParams } from './write-params';

/**
 * Milliseconds after its last part after which an upload that nobody gave up counts as that of a dead process. The clocks of the
 * service and of this machine differ by 15 minutes at most: else no request is accepted.
 */
const IDLE = 20 * 60_000;

const recordSchema = z.looseObject({
	key: z.string(),
	/** As in the object's metadata: tells whose object it is once it is there. */
	id: z.string(),
	/** Nothing before the upload was started. */
	uploadId: z.string().optional(),
	/** What is uploaded and how, if it can be taken up again. */
	content: z.string().optional(),
	owner: z.unknown(),
	/** Its run has failed: it may be taken up. */
	givenUp: z.boolean().optional(),
});

type UploadRecord = z.infer<typeof recordSchema>;

/** A multipart upload of ours, and the small object beside the key that says so. */
export interface UploadSession {
	uploadId: string;
	/** Parts that were there already, by number. */
	existing: ReadonlyMap<number, Part>;
	recordKey: string;
	record: UploadRecord;
}

/** Records of this process whose uploads are under way. */
const active = new Set<string>();

/**
 * The start of the keys of all records of uploads to a key. A record is written before its upload is started: neither the
 * key nor the upload itself can carry a mark, and an upload of somebody else must never be taken for one of ours.
 */
export function recordPrefix(key: string): string {
	const name = baseName(key);
	const hash = createHash('sha256').update(name).digest('hex').slice(0, 32);
	return `${key.slice(0, key.length - name.length)}${TEMPORARY_PREFIX}${hash}.upload-`;
}

/** What `recordPrefix` gave for the key of a record; nothing for the key of another object. */
export function recordPrefixOf(recordKey: string): string | undefined {
	return /^(.*\.upload-)[0-9a-f-]{36}$/s.exec(recordKey)?.[1];
}

/**
 * Starts a multipart upload; or takes up an earlier one of the same content to the same key, that has broken.
 *
 * @param create what goes into the request that starts it.
 * @param content names the bytes and how they are divided; nothing if they may be others the next time.
 */
export async function openSession(
	target: S3Target,
	request: UploadRequest,
	create: CreateMultipartUploadCommandInput,
	content: { size: number; sha256: string; partSize: number } | undefined,
	signal: AbortSignal,
): Promise<UploadSession> {
	// Started otherwise (another class, another key), it is another upload. The metadata holds the id of the single try.
	const how = JSON.stringify([content, { ...create, Metadata: undefined }, target.write.customerKey]);
	const fingerprint = content && createHash('sha256').update(how).digest('hex');
	if (fingerprint !== undefined) {
		const broken = await findBroken(target, request.key, fingerprint, signal);
		if (broken) return broken;
	}
	const recordKey = `${recordPrefix(request.key)}${randomUUID()}`;
	const record: UploadRecord = {
		...{ key: request.key, id: request.id, owner: self },
		...(fingerprint !== undefined && { content: fingerprint }),
	};
	active.add(recordKey);
	let uploadId: string | undefined;
	try {
		await writeRecord(target, recordKey, record);
		// Not aborted: an upload created after all, but whose id is never seen, could not be aborted itself.
		uploadId = (await target.client.send(new CreateMultipartUploadCommand(create))).UploadId;
		if (uploadId === undefined) {
			throw new LifeboatError('STORAGE_FAILED', `${target.description} did not start a multipart upload`, {
				hint: 'Check that the endpoint is that of an S3 service',
			});
		}
		const session = { uploadId, existing: new Map<number, Part>(), recordKey, record };
		if (fingerprint === undefined) return session;
		record.uploadId = uploadId;
		await writeRecord(target, recordKey, record);
		return session;
	} catch (error) {
		if (uploadId !== undefined) await abortUpload(target, request.key, uploadId);
		await removeRecord(target, recordKey);
		throw error;
	}
}

/** To be called when the upload was completed or aborted. Never fails: a record that stays goes with the unfinished uploads. */
export async function closeSession(target: S3Target, { recordKey }: UploadSession): Promise<void> {
	await removeRecord(target, recordKey);
}

/** To be called when a run fails whose upload may be taken up by the next one. */
export async function leaveSession(target: S3Target, { recordKey, record }: UploadSession): Promise<void> {
	active.delete(recordKey);
	// Where the connection is gone, this fails as well: then it counts by the process that started it, or by its age.
	await writeRecord(target, recordKey, { ...record, givenUp: true }).catch(() => {});
}

async function findBroken(
	target: S3Target,
	key: string,
	fingerprint: string,
	signal: AbortSignal,
): Promise<UploadSession | undefined> {
	const { Contents = [] } = await target.client.send(
		new ListObjectsV2Command({ Bucket: target.bucket, Prefix: recordPrefix(key) }),
		{ abortSignal: signal },
	);
	for (const { Key: recordKey, LastModified } of Contents) {
		if (recordKey === undefined || active.has(recordKey)) continue;
		const record = await readRecord(target, recordKey, signal);
		if (!record?.uploadId || record.key !== key || record.content !== fingerprint) continue;
		const existing = await listParts(target, key, record.uploadId, signal);
		if (!existing) {
			await removeRecord(target, recordKey);
			continue;
		}
		const owner = parseOwner(record.owner);
		const isOver = record.givenUp || owner?.process === self.process || isDead(owner);
		if (!isOver && !isIdle(LastModified, existing)) continue;
		active.add(recordKey);
		const taken = { ...record, owner: self, givenUp: false };
		await writeRecord(target, recordKey, taken);
		return { uploadId: record.uploadId, existing, recordKey, record: taken };
	}
	return undefined;
}

/** Whether no part came for long. */
function isIdle(written: Date | undefined, parts: ReadonlyMap<number, Part>): boolean {
	const times = [written, ...[...parts.values()].map(({ LastModified }) => LastModified)];
	return Date.now() - Math.max(...times.map((time) => time?.getTime() ?? 0)) > IDLE;
}

/** Nothing if there is no such upload any more. */
export async function listParts(
	target: S3Target,
	key: string,
	uploadId: string,
	signal?: AbortSignal,
): Promise<Map<number, Part> | undefined> {
	const parts = new Map<number, Part>();
	let marker: string | undefined;
	try {
		do {
			const page = await target.client.send(
				new ListPartsCommand({
					...{ Bucket: target.bucket, Key: key, UploadId: uploadId },
					...(marker !== undefined && { PartNumberMarker: marker }),
				}),
				{ abortSignal: signal },
			);
			for (const part of page.Parts ?? []) {
				if (part.PartNumber !== undefined) parts.set(part.PartNumber, part);
			}
			marker = page.IsTruncated ? page.NextPartNumberMarker : undefined;
		} while (marker !== undefined);
	} catch (error) {
		if (isMissing(error)) return undefined;
		throw error;
	}
	return parts;
}

async function writeRecord(target: S3Target, Key: string, record: UploadRecord): Promise<void> {
	const Body = Buffer.from(JSON.stringify(record));
	await target.client.send(
		new PutObjectCommand({
			...{ Bucket: target.bucket, Key, Body, ContentLength: Body.length },
			...{ ContentType: 'application/json' },
			...writeParams(target.write, 'temporary'),
		}),
	);
}

async function readRecord(
	target: S3Target,
	Key: string,
	signal: AbortSignal,
): Promise<UploadRecord | undefined> {
	try {
		const { Body } = await target.client.send(new GetObjectCommand({ Bucket: target.bucket, Key }), {
			abortSignal: signal,
		});
		return recordSchema.parse(JSON.parse(await Body!.transformToString()));
	} catch (error) {
		const isNoRecord = error instanceof z.ZodError || error instanceof SyntaxError;
		if (isNoRecord || isMissing(error)) return undefined;
		throw error;
	}
}

async function removeRecord(target: S3Target, Key: string): Promise<void> {
	active.delete(Key);
	await removeTemporary(target, Key).catch(() => {});
}
