import type { ICredentialDataDecryptedObject, INodeProperties } from 'n8n-workflow';

import { webDavStorage, type WebDavSettings } from '../../../lib/storage/webdav/webdav-storage';
import { pem } from '../credentials';

import type { StorageKind } from './storage-kind';
import { tlsProperties, tlsSettings } from './tls';

const folder: INodeProperties = {
	displayName: 'Folder',
	name: 'folder',
	type: 'string',
	default: '',
	placeholder: 'e.g. backups',
	description:
		'The folder below the address in the credential, made if missing. Empty stands for the address itself.',
};

export const nextcloud: StorageKind = {
	value: 'nextcloud',
	name: 'Nextcloud',
	description: 'A folder of a Nextcloud user',
	credential: 'nextCloudApi',
	properties: [folder, ...tlsProperties],
	async open(fields) {
		const { context, itemIndex, text } = fields;
		const data = await context.getCredentials('nextCloudApi', itemIndex);
		const [url, user, password] = [data.webDavUrl, data.user, data.password].map(asText) as [
			string,
			string,
			string,
		];
		return webDavStorage({ url, user, password, folder: text('folder'), ...tlsSettings(fields) });
	},
};

export const webDav: StorageKind = {
	value: 'webDav',
	name: 'WebDAV',
	description: 'A folder of any other WebDAV server, such as Apache, nginx or a NAS',
	credential: 'lifeboatWebDavApi',
	properties: [folder],
	async open({ context, itemIndex, text }) {
		const settings = webDavSettings(await context.getCredentials('lifeboatWebDavApi', itemIndex));
		return webDavStorage({ ...settings, folder: text('folder') });
	},
};

const asText = (value: unknown) => (typeof value === 'string' ? value : '');

/** What the WebDAV credential's fields say. */
export function webDavSettings(data: ICredentialDataDecryptedObject): WebDavSettings {
	const ca = asText(data.caCertificate).trim();
	return {
		url: asText(data.url),
		user: asText(data.user),
		password: asText(data.password),
		ignoreTlsErrors: data.ignoreSSLIssues === true,
		...(ca && { ca: pem(ca) }),
	};
}
