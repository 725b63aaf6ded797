import type { Icon, ICredentialType, INodeProperties } from 'n8n-workflow';

/** Keys for encrypting and decrypting backups. Only what an operation needs has to be filled in. */
export class LifeboatEncryptionApi implements ICredentialType {
	name = 'lifeboatEncryptionApi';

	displayName = 'Backup Encryption Key';

	icon: Icon = { light: 'file:../icons/encrypt.svg', dark: 'file:../icons/encrypt.dark.svg' };

	documentationUrl =
		'https://github.com/n8n-nodes-lifeboat/n8n-nodes-lifeboat/blob/main/docs/encrypt.md#backup-encryption-key';

	properties: INodeProperties[] = [
		{
			displayName:
				'Fill in only what you need: recipients to encrypt, the identity to decrypt. n8n can back up with the public recipients alone while the identity lies in your safe.',
			name: 'notice',
			type: 'notice',
			default: '',
		},
		{
			displayName: 'Age Recipients',
			name: 'recipients',
			type: 'string',
			typeOptions: { rows: 3 },
			default: '',
			placeholder: 'e.g. age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p',
			description:
				'Public keys that backups are encrypted for, one a line. The command age-keygen makes a pair',
		},
		// eslint-disable-next-line @n8n/community-nodes/credential-unnecessary-password -- it is a secret key
		{
			displayName: 'Age Identity',

			name: 'identity',
			type: 'string',
			typeOptions: { password: true, rows: 3 },
			default: '',
			placeholder: 'e.g. AGE-SECRET-KEY-1...',
			description:
				'Secret key that opens the backups, needed only where they are decrypted. Several may be given, one a line',
		},
		{
			displayName: 'Passphrase',
			name: 'passphrase',
			type: 'string',
			typeOptions: { password: true },
			default: '',
			description:
				'For backups encrypted with a passphrase instead of recipients. Keep a copy outside n8n: without it nobody can open them',
		},
	];
}
