import type { PutObjectCommandInput } from '@aws-sdk/client-s3';

import type { PutOptions } from '../storage';

import type { S3WriteSettings } from './settings';

/** The part of a request that starts an object, or puts it, which says how it is to be kept. */
export type WriteParams = Pick<
	PutObjectCommandInput,
	| 'StorageClass'
	| 'ServerSideEncryption'
	| 'SSEKMSKeyId'
	| 'ObjectLockMode'
	| 'ObjectLockRetainUntilDate'
	| 'ObjectLockLegalHoldStatus'
	| 'Tagging'
>;

/** @param role `temporary` for claims and records, which must go again. */
export function writeParams(
	{ storageClass, encryption, customerKey, objectLock, legalHold, tags }: S3WriteSettings,
	role: NonNullable<PutOptions['role']> | 'temporary' = 'content',
): WriteParams {
	const stays = isKept(role);
	return {
		...(role === 'content' && storageClass && { StorageClass: storageClass }),
		...(encryption && customerKey === undefined && { ServerSideEncryption: encryption.algorithm }),
		...(encryption?.kmsKeyId && customerKey === undefined && { SSEKMSKeyId: encryption.kmsKeyId }),
		...(stays &&
			objectLock && { ObjectLockMode: objectLock.mode, ObjectLockRetainUntilDate: objectLock.until }),
		...(stays && legalHold && { ObjectLockLegalHoldStatus: 'ON' as const }),
		...(role !== 'temporary' && tags && { Tagging: encode(tags) }),
	};
}

/** Whether object lock is asked for: such requests must carry a checksum of their body (API reference of PutObject). */
export function needsChecksum({ objectLock, legalHold }: S3WriteSettings): boolean {
	return objectLock !== undefined || legalHold === true;
}

const isKept = (role: NonNullable<PutOptions['role']> | 'temporary') =>
	role === 'content' || role === 'sidecar';

/** Whether an object is to be locked. */
export function wantsLock(write: S3WriteSettings, role: PutOptions['role'] = 'content'): boolean {
	return isKept(role) && needsChecksum(write);
}

/** Classes whose objects can't be read before they were restored ("Restoring an archived object"). */
const archiveClasses = new Set<string | undefined>(['GLACIER', 'DEEP_ARCHIVE']);

export const isArchiveClass = (storageClass: string | undefined): boolean => archiveClasses.has(storageClass);

/** Ceph takes a `+` for itself, not for a space. */
const encode = (tags: Record<string, string>) =>
	Object.entries(tags)
		.map((pair) => pair.map(encodeURIComponent).join('='))
		.join('&');
