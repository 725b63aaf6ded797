import { ListBucketsCommand } from '@aws-sdk/client-s3';

import { s3Target } from './client';
import { hasStatus, s3Error } from './errors';
import type { S3Settings } from './settings';

/**
 * Whether a service knows the login. No bucket is asked for: whoever may only use one bucket may not list them, which is told apart
 * from a login that is wrong.
 *
 * @returns how many buckets there are; nothing if it may not list them.
 * @throws LifeboatError `ACCESS_DENIED`, `CONNECTION_FAILED`, `INVALID_OPTION` without an endpoint, `STORAGE_FAILED`.
 */
export async function checkLogin(settings: Omit<S3Settings, 'bucket'>): Promise<number | undefined> {
	const { client, description } = s3Target({ ...settings, bucket: '' });
	try {
		const { Buckets = [] } = await client.send(new ListBucketsCommand({}));
		return Buckets.length;
	} catch (error) {
		// The name that services give to a right login without permission; a wrong one has other names.
		if (hasStatus(error, 403) && (error as Error).name === 'AccessDenied') return undefined;
		throw s3Error(error, `Logging in to ${description.replace(/^bucket {2}at /, '')}`);
	} finally {
		client.destroy();
	}
}
