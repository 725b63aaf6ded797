import type { ICredentialDataDecryptedObject, INodeProperties } from 'n8n-workflow';

import type { S3ProviderName } from '../../../lib/storage/s3/providers';
import { s3Storage } from '../../../lib/storage/s3/s3-storage';

import { s3Options, s3OptionsProperty } from './s3-options';

import type { StorageKind } from './storage-kind';

const bucket: INodeProperties = {
	displayName: 'Bucket',
	name: 'bucket',
	type: 'string',
	required: true,
	default: '',
	placeholder: 'e.g. acme-backups',
	description: 'The name of the bucket, which must exist',
};

export const aws: StorageKind = {
	value: 'aws',
	name: 'Amazon S3',
	description: 'A bucket at AWS',
	credential: 'aws',
	takesCustomerKey: true,
	properties: [bucket, s3OptionsProperty('awsOptions')],
	async open(fields) {
		const { context, itemIndex, required } = fields;
		const settings = amazon(await context.getCredentials('aws', itemIndex));
		return s3Storage({
			bucket: required('bucket', 'Bucket'),
			...settings,
			...(await s3Options(fields, 'awsOptions')),
		});
	},
};

const provider: INodeProperties = {
	displayName: 'Provider',
	name: 's3Provider',
	type: 'options',
	options: [
		{ name: 'Amazon S3', value: 'aws', description: 'Endpoint from the region' },
		{ name: 'Backblaze B2', value: 'b2', description: 'Endpoint from the region, such as us-west-004' },
		{ name: 'Ceph', value: 'ceph', description: 'Endpoint in the credential, path style' },
		{ name: 'Cloudflare R2', value: 'r2', description: 'Endpoint from the account ID' },
		{
			name: 'DigitalOcean Spaces',
			value: 'digitalocean',
			description: 'Endpoint from the region, such as fra1',
		},
		{ name: 'Google Cloud Storage', value: 'gcs', description: 'With HMAC keys as access key and secret' },
		{ name: 'Hetzner', value: 'hetzner', description: 'Endpoint from the region, such as fsn1' },
		{ name: 'MinIO', value: 'minio', description: 'Endpoint in the credential, path style' },
		{ name: 'Other', value: 'other', description: 'Everything as the credential says' },
		{ name: 'Wasabi', value: 'wasabi', description: 'Endpoint from the region, such as eu-central-1' },
	],
	default: 'other',
	description: 'Who runs the service. Sets endpoint and path style where the credential leaves them open.',
};

const accountId: INodeProperties = {
	displayName: 'Account ID',
	name: 's3AccountId',
	type: 'string',
	default: '',
	placeholder: 'e.g. 0123456789abcdef0123456789abcdef',
	description: 'Of Cloudflare, unless the credential names the endpoint',
	displayOptions: { show: { s3Provider: ['r2'] } },
};

export const s3: StorageKind = {
	value: 's3',
	name: 'S3-Compatible Storage',
	description: 'A bucket anywhere else, such as MinIO, Ceph, Backblaze B2, Wasabi, Cloudflare R2 or Hetzner',
	credential: 's3',
	takesCustomerKey: true,
	properties: [provider, accountId, bucket, s3OptionsProperty('s3Options')],
	async open(fields) {
		const { context, itemIndex, required, value, text: field } = fields;
		return s3Storage({
			...{ bucket: required('bucket', 'Bucket'), provider: value('s3Provider', 'other') as S3ProviderName },
			...compatible(await context.getCredentials('s3', itemIndex)),
			...{ accountId: field('s3AccountId'), ...(await s3Options(fields, 's3Options')) },
		});
	},
};

const text = (value: unknown) => (typeof value === 'string' ? value.trim() : '');

/** What n8n's S3 credential says. */
export function compatible(data: ICredentialDataDecryptedObject) {
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
