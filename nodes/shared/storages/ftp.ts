import type { ICredentialDataDecryptedObject } from 'n8n-workflow';

import { ftpStorage, type FtpSettings } from '../../../lib/storage/ftp/ftp-storage';

import type { StorageKind } from './storage-kind';
import { tlsProperties, tlsSettings } from './tls';

export const ftp: StorageKind = {
	value: 'ftp',
	name: 'FTP',
	description: 'A folder of an FTP server, with TLS (FTPS) or without',
	credential: 'ftp',
	properties: [
		{
			displayName: 'Security',
			name: 'security',
			type: 'options',
			options: [
				{ name: 'Explicit TLS', value: 'explicit', description: 'The usual FTPS, at port 21' },
				{ name: 'Implicit TLS', value: 'implicit', description: 'TLS from the first byte, at port 990' },
				{ name: 'None', value: 'none', description: 'Password and backups can be read on their way' },
			],
			default: 'explicit',
			description: 'How the connections to the server are protected',
		},
		{
			displayName: 'Folder',
			name: 'folder',
			type: 'string',
			default: '',
			placeholder: 'e.g. /backups',
			description:
				'The folder on the server, made if missing. Without / at its start, and when empty, it is taken from the folder that the login begins in.',
		},
		...tlsProperties.map((property) => ({ ...property, displayOptions: { hide: { security: ['none'] } } })),
	],
	async open(fields) {
		const { context, itemIndex, text, value } = fields;
		return ftpStorage({
			...login(await context.getCredentials('ftp', itemIndex)),
			security: value('security', 'explicit') as FtpSettings['security'],
			folder: text('folder'),
			...tlsSettings(fields),
		});
	},
};

function login(
	data: ICredentialDataDecryptedObject,
): Pick<FtpSettings, 'host' | 'port' | 'user' | 'password'> {
	const text = (field: unknown) => (typeof field === 'string' ? field : '');
	const user = text(data.username).trim();
	return {
		host: text(data.host).trim(),
		port: Number(data.port ?? 21),
		...(user && { user }),
		password: text(data.password),
	};
}
