import { RestoreObjectCommand } from '@aws-sdk/client-s3';

import { LifeboatError } from '../../errors';
import type { Unarchived, UnarchiveOptions } from '../storage';

import type { S3Target } from './client';
import { hasStatus } from './errors';
import { head } from './object';
import { isArchiveClass } from './write-params';

/** Hours that a restoration takes at most ("Understanding archive retrieval options"). */
const hours: Record<string, Record<UnarchiveOptions['tier'], number | undefined>> = {
	GLACIER: { Expedited: 0.1, Standard: 5, Bulk: 12 },
	DEEP_ARCHIVE: { Expedited: undefined, Standard: 12, Bulk: 48 },
};

/** Asks for an archived object to be restored, unless that is done or under way. Errors of the SDK pass unchanged. */
export async function unarchive(
	target: S3Target,
	key: string,
	{ days, tier }: UnarchiveOptions,
	signal?: AbortSignal,
): Promise<Unarchived> {
	const there = await head(target, key, signal);
	if (!there) return { state: 'readable' };
	const { StorageClass = '', ArchiveStatus, Restore = '' } = there;
	// Intelligent-Tiering keeps its own archive; restoring there needs no days.
	const isArchived = isArchiveClass(StorageClass) || ArchiveStatus !== undefined;
	if (!isArchived || Restore.includes('ongoing-request="false"')) return { state: 'readable' };
	const limit = hours[StorageClass]?.[tier];
	const withinHours = limit === undefined ? {} : { withinHours: limit };
	if (Restore.includes('ongoing-request="true"')) return { state: 'ongoing' };
	if (StorageClass === 'DEEP_ARCHIVE' && tier === 'Expedited') {
		throw new LifeboatError(
			'INVALID_OPTION',
			`${key} lies in DEEP_ARCHIVE, which knows no expedited restoration`,
			{
				hint: 'Choose Standard or Bulk',
			},
		);
	}
	const tierOnly = ArchiveStatus !== undefined && !isArchiveClass(StorageClass);
	try {
		await target.client.send(
			new RestoreObjectCommand({
				...{ Bucket: target.bucket, Key: key },
				RestoreRequest: { ...(!tierOnly && { Days: days }), GlacierJobParameters: { Tier: tier } },
			}),
			{ abortSignal: signal },
		);
	} catch (error) {
		// RestoreAlreadyInProgress.
		if (hasStatus(error, 409)) return { state: 'ongoing' };
		throw error;
	}
	return { state: 'requested', ...withinHours };
}
