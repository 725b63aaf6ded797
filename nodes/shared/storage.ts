import type { ICredentialDataDecryptedObject, IExecuteFunctions, INodeProperties } from 'n8n-workflow';

import { LifeboatError } from '../../lib/errors';
import { localStorage } from '../../lib/storage/local/local-storage';
import { s3Storage } from '../../lib/storage/s3/s3-storage';
import type { Storage } from '../../lib/storage/storage';

import { fileRules, resolveAllowed } from './file-access';
import { requiredText, textParameter } from './parameters';

/** Credentials of a node that has the storage fields. */
export const storageCredentials = [
	{ name: 's3', required: true, displayOptions: { show: { storage: ['s3'] } } },
	{ name: 'aws', required: true, displayOptions: { show: { storage: ['aws'] } } },
];

/** Where backups lie: the fields that every node with a destination begins with. */
export const storageProperties: INodeProperties[] = [
	{
		displayName: 'Storage',
		name: 'storage',
		type: 'options',
		noDataExpression: true,
		options: [
			{ name: 'Amazon S3', value: 'aws', description: 'A bucket at AWS' },
			{ name: 'Local Folder', value: 'local', description: 'A folder of this server, also a mounted NAS' },
			{
				name: 'S3-Compatible Storage',
				value: 's3',
				description:
					'A bucket anywhere else, such as MinIO, Ceph, Backblaze B2, Wasabi, Cloudflare R2 or Hetzner',
			},
		],
		default: 'local',
		description: 'The kind of place where the backups lie',
	},
	{
		displayName: 'Folder',
		name: 'folder',
		type: 'string',
		required: true,
		default: '',
		placeholder: 'e.g. /backups',
		description: 'The folder as n8n sees it. It must lie within what N8N_RESTRICT_FILE_ACCESS_TO allows.',
		displayOptions: { show: { storage: ['local'] } },
	},
	{
		displayName: 'Bucket',
		name: 'bucket',
		type: 'string',
		required: true,
		default: '',
		placeholder: 'e.g. acme-backups',
		description: 'The name of the bucket, which must exist',
		displayOptions: { show: { storage: ['s3', 'aws'] } },
	},
	{
		displayName: 'Prefix',
		name: 'prefix',
		type: 'string',
		default: '',
		placeholder: 'e.g. shop/',
		description: 'The start of the keys of these backups, like a folder. Empty stands for the whole storage.',
	},
];

/** The storage that an item's parameters name. The caller closes it. */
export async function storageFor(context: IExecuteFunctions, itemIndex: number): Promise<Storage> {
	const kind = context.getNodeParameter('storage', itemIndex) as string;
	if (kind === 'local') {
		const folder = requiredText(context, 'folder', itemIndex, 'Folder');
		return localStorage({ folder: await resolveAllowed(context, folder), assertAllowed: fileRules(context) });
	}
	const bucket = requiredText(context, 'bucket', itemIndex, 'Bucket');
	if (kind === 's3')
		return s3Storage({ bucket, ...compatible(await context.getCredentials('s3', itemIndex)) });
	if (kind === 'aws') return s3Storage({ bucket, ...amazon(await context.getCredentials('aws', itemIndex)) });
	throw new LifeboatError('INVALID_OPTION', `This version of Lifeboat does not know the storage "${kind}"`, {
		hint: 'Choose one of the list under Storage',
	});
}

/** The prefix of an item, always ending in `/` unless it is empty. */
export function prefixOf(context: IExecuteFunctions, itemIndex: number): string {
	const prefix = textParameter(context, 'prefix', itemIndex).replace(/^\/+/, '');
	return prefix === '' || prefix.endsWith('/') ? prefix : `${prefix}/`;
}

const text = (value: unknown) => (typeof value === 'string' ? value.trim() : '');

function compatible(data: ICredentialDataDecryptedObject) {
	return {
		endpoint: text(data.endpoint),
		region: text(data.region) || 'us-east-1',
		accessKeyId: text(data.accessKeyId),
		secretAccessKey: text(data.secretAccessKey),
		forcePathStyle: data.forcePathStyle === true,
		ignoreTlsErrors: data.ignoreSSLIssues === true,
	};
}

function amazon(data: ICredentialDataDecryptedObject) {
	const endpoint = data.customEndpoints === true ? text(data.s3Endpoint) : '';
	return {
		region: text(data.region) || 'us-east-1',
		accessKeyId: text(data.accessKeyId),
		secretAccessKey: text(data.secretAccessKey),
		...(data.temporaryCredentials === true ? { sessionToken: text(data.sessionToken) } : {}),
		...(endpoint ? { endpoint: endpoint.replace('{region}', text(data.region)) } : {}),
	};
}
