import type { ICredentialDataDecryptedObject, INodeProperties } from 'n8n-workflow';

import { s3Storage } from '../../../lib/storage/s3/s3-storage';

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
	credentials: [{ name: 'aws' }],
	properties: [bucket],
	async open({ context, itemIndex, required }) {
		const settings = amazon(await context.getCredentials('aws', itemIndex));
		return s3Storage({ bucket: required('bucket', 'Bucket'), ...settings });
	},
};

export const s3: StorageKind = {
	value: 's3',
	name: 'S3-Compatible Storage',
	description: 'A bucket anywhere else, such as MinIO, Ceph, Backblaze B2, Wasabi, Cloudflare R2 or Hetzner',
	credentials: [{ name: 's3' }],
	properties: [bucket],
	async open({ context, itemIndex, required }) {
		const settings = compatible(await context.getCredentials('s3', itemIndex));
		return s3Storage({ bucket: required('bucket', 'Bucket'), ...settings });
	},
};

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
