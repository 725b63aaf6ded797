import type {
	ICredentialsDecrypted,
	ICredentialTestFunctions,
	INodeCredentialTestResult,
} from 'n8n-workflow';

import { LifeboatError } from '../../lib/errors';
import { checkLogin } from '../../lib/storage/s3/check-login';

import { compatible } from './storages/s3';

const further = 'The operation Test Destination of Upload writes, reads and deletes a probe in a bucket';

/** The test button of n8n's S3 credential, which has none of its own. It knows no bucket, so it only logs in. */
export async function testS3(
	this: ICredentialTestFunctions,
	{ data = {} }: ICredentialsDecrypted,
): Promise<INodeCredentialTestResult> {
	try {
		const settings = compatible(data);
		if (settings.endpoint === '') {
			return {
				status: 'Error',
				message: `Without an endpoint nothing can be tested here. Where the Provider in a node sets it: ${further}`,
			};
		}
		const buckets = await checkLogin({ ...settings, timeout: 15_000 });
		const found =
			buckets === undefined ? 'it may not list buckets, which is no fault' : `it has ${buckets} buckets`;
		return { status: 'OK', message: `The service accepts the key; ${found}. ${further}` };
	} catch (error) {
		if (!(error instanceof LifeboatError)) throw error;
		return { status: 'Error', message: error.hint ? `${error.message}. ${error.hint}` : error.message };
	}
}
