import {
	DeleteObjectCommand,
	GetObjectLockConfigurationCommand,
	HeadObjectCommand,
	ListObjectVersionsCommand,
	type HeadObjectCommandOutput,
	type ListObjectVersionsCommandOutput,
} from '@aws-sdk/client-s3';

import { LifeboatError } from '../../errors';
import type { StorageLock } from '../storage';

import type { S3Target } from './client';
import { hasStatus, isMissing } from './errors';
import { head } from './object';

/** Whether objects of the bucket can be locked at all: so a bucket without locks costs one question, not one for each object. */
export async function canLock(target: S3Target, signal?: AbortSignal): Promise<boolean> {
	try {
		const asked = new GetObjectLockConfigurationCommand({ Bucket: target.bucket });
		const { ObjectLockConfiguration } = await target.client.send(asked, { abortSignal: signal });
		return ObjectLockConfiguration?.ObjectLockEnabled === 'Enabled';
	} catch (error) {
		// Not set up, or not known to the service. Whoever may not ask may still meet locks.
		if (isMissing(error) || hasStatus(error, 400, 405, 501)) return false;
		if (hasStatus(error, 403)) return true;
		throw error;
	}
}

/** What keeps the newest version of an object from being removed now. */
export async function lockOf(
	target: S3Target,
	key: string,
	signal?: AbortSignal,
): Promise<StorageLock | undefined> {
	return describeLock(await head(target, key, signal));
}

function describeLock(there: HeadObjectCommandOutput | undefined): StorageLock | undefined {
	const until = there?.ObjectLockMode ? there.ObjectLockRetainUntilDate : undefined;
	const isRetained = until !== undefined && until > new Date();
	const legalHold = there?.ObjectLockLegalHoldStatus === 'ON';
	return isRetained || legalHold ? { legalHold, ...(isRetained && { until }) } : undefined;
}

/**
 * Removes all versions and delete markers of an object, unless one of them is locked: then none.
 *
 * @throws LifeboatError `OBJECT_LOCKED`. Errors of the SDK pass unchanged.
 */
export async function removeVersions(target: S3Target, key: string, signal?: AbortSignal): Promise<void> {
	const { client, bucket: Bucket } = target;
	const versions: string[] = [];
	const markers: string[] = [];
	let from: Pick<ListObjectVersionsCommandOutput, 'NextKeyMarker' | 'NextVersionIdMarker'> | undefined = {};
	while (from) {
		const asked: ListObjectVersionsCommand = new ListObjectVersionsCommand({
			...{ Bucket, Prefix: key, KeyMarker: from.NextKeyMarker, VersionIdMarker: from.NextVersionIdMarker },
		});
		const page: ListObjectVersionsCommandOutput = await client.send(asked, { abortSignal: signal });
		for (const { Key, VersionId } of page.Versions ?? []) {
			if (Key === key && VersionId !== undefined) versions.push(VersionId);
		}
		for (const { Key, VersionId } of page.DeleteMarkers ?? []) {
			if (Key === key && VersionId !== undefined) markers.push(VersionId);
		}
		// The key's own versions come first of all that begin with it.
		const goesOn = page.IsTruncated && page.NextKeyMarker === key;
		from = goesOn ? page : undefined;
	}
	for (const VersionId of versions) {
		const asked = new HeadObjectCommand({ Bucket, Key: key, VersionId });
		const lock = describeLock(await client.send(asked, { abortSignal: signal }));
		if (lock) throw objectLocked(key, target.description, lock);
	}
	// The markers last: while one lies on top, no older version comes to light.
	for (const VersionId of [...versions, ...markers]) {
		try {
			await client.send(new DeleteObjectCommand({ Bucket, Key: key, VersionId }), { abortSignal: signal });
		} catch (error) {
			if (!isMissing(error)) throw error;
		}
	}
}

function objectLocked(key: string, where: string, { until, legalHold }: StorageLock): LifeboatError {
	const words = [
		...(until ? [`until ${until.toISOString()}`] : []),
		...(legalHold ? ['by a legal hold'] : []),
	];
	return new LifeboatError('OBJECT_LOCKED', `${key} in ${where} is locked ${words.join(' and ')}`, {
		hint: 'It can be deleted when the lock has ended. Nothing of it was deleted',
	});
}
