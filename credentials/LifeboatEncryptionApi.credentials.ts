import type { Icon, ICredentialType, INodeProperties } from 'n8n-workflow';

/** Keys for encrypting and decrypting backups. Only what an operation needs has to be filled in. */
// eslint-disable-next-line @n8n/community-nodes/credential-test-required -- the nodes that use it test it, in an entry that they share
export class LifeboatEncryptionApi implements ICredentialType {
	name = 'lifeboatEncryptionApi';

	displayName = 'Backup Encryption Key';

	icon: Icon = { light: 'file:../icons/encrypt.svg', dark: 'file:../icons/encrypt.dark.svg' };

	documentationUrl =
		'https://github.com/n8n-nodes-lifeboat/n8n-nodes-lifeboat/blob/main/docs/encrypt.md#backup-encryption-key';

	properties: INodeProperties[] = [
		{
			displayName:
				'Fill in only what you need: recipients or public keys to encrypt, the identity or private key to decrypt. n8n can back up with the public keys alone while the secret ones lie in your safe.',
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
				'Public keys that backups are encrypted for, one a line: age1... or SSH keys (ssh-ed25519, ssh-rsa). The operation Create Key and the command age-keygen make a pair.',
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
				'Secret key that opens the backups, needed only where they are decrypted. Several may be given, one a line, also SSH private keys without a passphrase; the right one is found.',
		},

		{
			displayName: 'OpenPGP Public Keys',
			name: 'openpgpPublicKeys',
			type: 'string',
			// eslint-disable-next-line n8n-nodes-base/cred-class-field-type-options-password-missing -- they are public
			typeOptions: { rows: 3 },
			default: '',
			placeholder: 'e.g. -----BEGIN PGP PUBLIC KEY BLOCK-----',
			description:
				'Keys that backups are encrypted for, and that signatures are checked with, one below the other, as "gpg --armor --export" prints them',
		},
		{
			displayName: 'OpenPGP Private Keys',
			name: 'openpgpPrivateKeys',
			type: 'string',
			typeOptions: { password: true, rows: 3 },
			default: '',
			placeholder: 'e.g. -----BEGIN PGP PRIVATE KEY BLOCK-----',
			description:
				'Keys that open the backups, needed only where they are decrypted, as "gpg --armor --export-secret-keys" prints them',
		},
		// eslint-disable-next-line @n8n/community-nodes/credential-unnecessary-password -- it is a secret key
		{
			displayName: 'OpenPGP Signing Key',
			name: 'openpgpSigningKey',
			type: 'string',
			typeOptions: { password: true, rows: 3 },
			default: '',
			placeholder: 'e.g. -----BEGIN PGP PRIVATE KEY BLOCK-----',
			description: 'Private key that signs backups encrypted with OpenPGP. Leave it empty not to sign.',
		},
		{
			displayName: 'OpenPGP Key Passphrase',
			name: 'openpgpKeyPassphrase',
			type: 'string',
			typeOptions: { password: true },
			default: '',
			description: 'What unlocks the OpenPGP private and signing keys, if they are locked',
		},
		{
			displayName: 'Passphrase',
			name: 'passphrase',
			type: 'string',
			typeOptions: { password: true },
			default: '',
			description:
				'For backups encrypted with a passphrase instead of recipients, in every format. Keep a copy outside n8n: without it nobody can open them.',
		},
		{
			displayName: 'Earlier Passphrases',
			name: 'earlierPassphrases',
			type: 'string',
			typeOptions: { password: true, rows: 3 },
			default: '',
			description: 'Passphrases of older backups, one a line. They open, and are never used to encrypt.',
		},
	];
}
