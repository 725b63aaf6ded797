import { DeleteObjectCommand } from '@aws-sdk/client-s3';

import type { S3Target } from './client';
import { isMissing } from './errors';

/** Deletes an object; one that isn't there is no error. Errors of the SDK pass unchanged. */
export async function removeObject(target: S3Target, key: string, signal?: AbortSignal): Promise<void> {
	try {
		await target.client.send(new DeleteObjectCommand({ Bucket: target.bucket, Key: key }), {
			abortSignal: signal,
		});
	} catch (error) {
		if (!isMissing(error)) throw error;
	}
}
