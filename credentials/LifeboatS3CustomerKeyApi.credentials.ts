import type { Icon, ICredentialType, INodeProperties } from 'n8n-workflow';

/** A key with which an S3 service encrypts what it is sent, and which it does not keep (SSE-C). n8n's S3 credentials have no field for it. */
// eslint-disable-next-line @n8n/community-nodes/credential-test-required -- Upload tests it, in a list of credentials that is put together at run time
export class LifeboatS3CustomerKeyApi implements ICredentialType {
	name = 'lifeboatS3CustomerKeyApi';

	displayName = 'Backup S3 Customer Key API';

	icon: Icon = { light: 'file:../icons/upload.svg', dark: 'file:../icons/upload.dark.svg' };

	documentationUrl = 'https://github.com/n8n-nodes-lifeboat/n8n-nodes-lifeboat/blob/main/docs/upload.md#s3';

	properties: INodeProperties[] = [
		{
			displayName:
				'The service does not keep this key: whoever loses it loses every backup that was stored with it. Keep a copy outside n8n. "openssl rand -base64 32" makes one.',
			name: 'notice',
			type: 'notice',
			default: '',
		},
		// eslint-disable-next-line @n8n/community-nodes/credential-unnecessary-password -- it is a secret key
		{
			displayName: 'Customer Key',
			name: 'customerKey',
			type: 'string',
			typeOptions: { password: true },
			required: true,
			default: '',
			placeholder: 'e.g. bGlmZWJvYXQgbGlmZWJvYXQgbGlmZWJvYXQgMTIzNDU=',
			description: '256 bits in base64. It is sent with each request, and only over TLS.',
		},
	];
}
