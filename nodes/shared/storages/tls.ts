import type { INodeProperties } from 'n8n-workflow';

import { pem } from '../credentials';
import { caCertificateOption } from '../properties';

import type { StorageFields } from './storage-kind';

/** The fields that say whom to trust, for storages whose credential has none for it. */
export const tlsProperties: INodeProperties[] = [
	{
		...caCertificateOption,
		description: "PEM certificate of the authority that signed the server's, if it is your own",
	},
	{
		displayName: 'Ignore SSL Issues (Insecure)',
		name: 'ignoreTlsErrors',
		type: 'boolean',
		default: false,
		description: 'Whether to connect even if nobody vouches for the certificate of the server',
	},
];

/** What the fields say. */
export function tlsSettings({ text, value }: StorageFields): { ca?: string; ignoreTlsErrors: boolean } {
	const ca = pem(text('caCertificate'));
	return { ...(ca && { ca }), ignoreTlsErrors: value('ignoreTlsErrors', false) === true };
}
