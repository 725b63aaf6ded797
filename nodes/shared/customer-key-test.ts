import type {
	ICredentialsDecrypted,
	ICredentialTestFunctions,
	INodeCredentialTestResult,
} from 'n8n-workflow';

import { LifeboatError } from '../../lib/errors';
import { parseCustomerKey } from '../../lib/storage/s3/customer-key';

/** The test button of the S3 customer key. It belongs to no server: only an upload tells whether that takes it. */
export async function testCustomerKey(
	this: ICredentialTestFunctions,
	{ data }: ICredentialsDecrypted,
): Promise<INodeCredentialTestResult> {
	try {
		parseCustomerKey(typeof data?.customerKey === 'string' ? data.customerKey : '');
		return {
			status: 'OK',
			message:
				'The key has 256 bits. Upload with the operation Test Destination tells whether the service takes it',
		};
	} catch (error) {
		if (!(error instanceof LifeboatError)) throw error;
		return { status: 'Error', message: error.hint ? `${error.message}. ${error.hint}` : error.message };
	}
}
