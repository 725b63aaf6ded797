import { DeleteObjectCommand } from '@aws-sdk/client-s3';

import type { S3Target } from './client';
import { isMissing } from './errors';
import { removeVersions } from './versions';

/**
 * Deletes an object; one that isn't there is no error. Errors of the SDK pass unchanged.
 *
 * @returns whether the bucket keeps versions, which stay behind a marker.
 */
export async function removeObject(target: S3Target, key: string, signal?: AbortSignal): Promise<boolean> {
	try {
		const { DeleteMarker, VersionId } = await target.client.send(
			new DeleteObjectCommand({ Bucket: target.bucket, Key: key }),
			{ abortSignal: signal },
		);
		return DeleteMarker === true || VersionId !== undefined;
	} catch (error) {
		if (!isMissing(error)) throw error;
		return false;
	}
}

/** Deletes a temporary object of ours, with the versions that the bucket keeps of it, as far as that is allowed. Otherwise as `removeObject`. */
export async function removeTemporary(target: S3Target, key: string, signal?: AbortSignal): Promise<void> {
	if (!(await removeObject(target, key, signal))) return;
	try {
		await removeVersions(target, key, signal);
	} catch {
		// It is hidden already, which is all that counts: versions need a permission of their own, and may be locked by the bucket's rule.
		signal?.throwIfAborted();
	}
}
