import type { Icon, ICredentialType, INodeProperties } from 'n8n-workflow';

/** A folder on a WebDAV server. n8n itself has a credential for Nextcloud only. */
// eslint-disable-next-line @n8n/community-nodes/credential-test-required -- Upload tests it, in a list of credentials that is put together at run time
export class LifeboatWebDavApi implements ICredentialType {
	name = 'lifeboatWebDavApi';

	displayName = 'Backup WebDAV Server API';

	icon: Icon = { light: 'file:../icons/webdav.svg', dark: 'file:../icons/webdav.dark.svg' };

	documentationUrl =
		'https://github.com/n8n-nodes-lifeboat/n8n-nodes-lifeboat/blob/main/docs/upload.md#webdav-and-nextcloud';

	properties: INodeProperties[] = [
		{
			displayName: 'URL',
			name: 'url',
			type: 'string',
			required: true,
			default: '',
			placeholder: 'e.g. https://dav.example.com/backups',
			description: 'The address of a folder on the server, which must exist',
		},
		{
			displayName: 'User',
			name: 'user',
			type: 'string',
			default: '',
			description: 'Empty for a server that asks for no login. Basic and Digest are understood',
		},
		{
			displayName: 'Password',
			name: 'password',
			type: 'string',
			typeOptions: { password: true },
			default: '',
		},
		// eslint-disable-next-line @n8n/community-nodes/credential-password-field -- a certificate is public
		{
			displayName: 'CA Certificate',
			name: 'caCertificate',
			type: 'string',
			typeOptions: { rows: 4 },
			default: '',
			placeholder: 'e.g. -----BEGIN CERTIFICATE-----',
			description: 'PEM of the authority that vouches for the server, if it is not a public one',
		},
		{
			displayName: 'Ignore SSL Issues (Insecure)',
			name: 'ignoreSSLIssues',
			type: 'boolean',
			default: false,
			description: 'Whether to connect even if nobody vouches for the server',
		},
	];
}
