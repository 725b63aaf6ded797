import type { ICredentialDataDecryptedObject } from 'n8n-workflow';

import { azureStorage } from '../../../lib/storage/azure/azure-storage';

import type { StorageKind } from './storage-kind';
import { tlsProperties, tlsSettings } from './tls';

export const azure: StorageKind = {
	value: 'azure',
	name: 'Azure Blob Storage',
	description: 'A container of an Azure storage account',
	credential: 'azureStorageSharedKeyApi',
	properties: [
		{
			displayName: 'Container',
			name: 'container',
			type: 'string',
			required: true,
			default: '',
			placeholder: 'e.g. backups',
			description: 'The name of the container, which must exist',
		},
		{
			displayName: 'Endpoint',
			name: 'endpoint',
			type: 'string',
			default: '',
			placeholder: 'e.g. http://127.0.0.1:10000/devstoreaccount1',
			description:
				'Only for Azurite and the like. Empty stands for the cloud, or the endpoint, of the credential.',
		},
		...tlsProperties,
	],
	async open(fields) {
		const { context, itemIndex, text, required } = fields;
		const data = await context.getCredentials('azureStorageSharedKeyApi', itemIndex);
		return azureStorage({
			account: asText(data.account),
			key: asText(data.key),
			container: required('container', 'Container'),
			endpoint: text('endpoint') || endpointOf(data),
			...tlsSettings(fields),
		});
	},
};

const asText = (value: unknown) => (typeof value === 'string' ? value.trim() : '');

/** As the credential's hidden base URL: of a custom endpoint, or of one of Microsoft's clouds. */
function endpointOf(data: ICredentialDataDecryptedObject): string {
	const cloud = asText(data.environment) || 'blob.core.windows.net';
	return cloud === 'custom' ? asText(data.customEndpoint) : `https://${asText(data.account)}.${cloud}`;
}
