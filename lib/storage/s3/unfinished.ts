import type { MultipartUpload } from '@aws-sdk/client-s3';

import type { StoredObject, UnfinishedUpload } from '../storage';

import type { S3Target } from './client';
import { abortUpload, listUploads } from './multipart';
import { removeTemporary } from './remove';
import { listParts, recordPrefix, recordPrefixOf } from './session';

/** The multipart uploads under a prefix that were not completed, ours and others', and temporary objects of ours that belong to none. */
export async function* listUnfinished(
	target: S3Target,
	prefix: string,
	temporary: AsyncIterable<StoredObject>,
	signal?: AbortSignal,
): AsyncGenerator<UnfinishedUpload> {
	const objects: StoredObject[] = [];
	for await (const object of temporary) objects.push(object);
	const recorded = new Set(objects.map(({ key }) => recordPrefixOf(key)));
	const underWay = new Set<string>();
	const folder = prefix.slice(0, prefix.lastIndexOf('/') + 1);
	for await (const { Key: key, Initiated } of listUploads(target, folder, signal)) {
		if (key === undefined) continue;
		const record = recordPrefix(key);
		underWay.add(record);
		if (!key.startsWith(prefix)) continue;
		yield { key, startedAt: Initiated ?? new Date(0), ours: recorded.has(record) };
	}
	for (const { key, modifiedAt, size } of objects) {
		if (!underWay.has(recordPrefixOf(key) ?? '')) yield { key, startedAt: modifiedAt, size, ours: true };
	}
}

/**
 * Aborts uploads of ours that have been still since a time, and removes the claims and records of dead processes. Uploads to
 * whose key no record of ours speaks are those of other programs: they are left alone, however old.
 *
 * @param temporary objects whose names say that they are temporary ones of ours.
 * @returns how many uploads, and objects that belong to none.
 */
export async function removeUnfinished(
	target: S3Target,
	prefix: string,
	olderThan: Date,
	temporary: AsyncIterable<StoredObject>,
	signal?: AbortSignal,
): Promise<number> {
	const recorded = new Set<string>();
	const old: string[] = [];
	for await (const { key, modifiedAt } of temporary) {
		const record = recordPrefixOf(key);
		if (record !== undefined) recorded.add(record);
		if (modifiedAt < olderThan) old.push(key);
	}
	const kept = new Set<string>();
	const ended = new Set<string>();
	let removed = 0;
	const folder = prefix.slice(0, prefix.lastIndexOf('/') + 1);
	for await (const upload of listUploads(target, folder, signal)) {
		const record = recordPrefix(upload.Key ?? '');
		if (!recorded.has(record)) continue;
		if (upload.Key!.startsWith(prefix) && (await isStill(target, upload, olderThan, signal))) {
			await abortUpload(target, upload.Key!, upload.UploadId!);
			ended.add(record);
			removed += 1;
		} else kept.add(record);
	}
	for (const key of old) {
		const record = recordPrefixOf(key);
		if (record !== undefined && kept.has(record)) continue;
		await removeTemporary(target, key, signal);
		if (record === undefined || !ended.has(record)) removed += 1;
	}
	return removed;
}

/** A long upload is not an old one: its last part counts. */
async function isStill(
	target: S3Target,
	{ Key, UploadId, Initiated }: MultipartUpload,
	olderThan: Date,
	signal?: AbortSignal,
): Promise<boolean> {
	if (!Key || !UploadId || !Initiated || Initiated >= olderThan) return false;
	const parts = await listParts(target, Key, UploadId, signal);
	return (
		parts !== undefined &&
		[...parts.values()].every(({ LastModified }) => (LastModified ?? Initiated) < olderThan)
	);
}
