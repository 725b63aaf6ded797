import type { IDisplayOptions, IExecuteFunctions, INodeProperties } from 'n8n-workflow';

import type { Encoding } from '../../lib/artifact/transform';
import {
	encryptionEncoding,
	type EncryptionKeys,
	type EncryptionName,
	type EncryptionOptions,
} from '../../lib/encryption/encryption';
import { LifeboatError } from '../../lib/errors';

const show = { operation: ['encrypt', 'reencrypt'] };

const shownFor = (encryptWith: string[]): IDisplayOptions => ({ show: { ...show, encryptWith } });

/** How a backup is encrypted: the fields that Encrypt and Re-encrypt share. */
export const encodingProperties: INodeProperties[] = [
	{
		displayName: 'Encrypt With',
		name: 'encryptWith',
		type: 'options',
		options: [
			{
				name: 'AES-256-GCM',
				value: 'aes-256-gcm',
				description: 'With a passphrase. No standard tool opens it; the recovery kit does.',
			},
			{ name: 'Age', value: 'age', description: 'For recipients or with a passphrase, opened by age' },
			{
				name: 'OpenPGP',
				value: 'openpgp',
				description: 'For public keys or with a passphrase, opened by gpg, and signed if you like',
			},
		],
		default: 'age',
		description: 'The format of the encrypted backup',
		displayOptions: { show },
	},
	{
		displayName: 'Encrypt For',
		name: 'encryptFor',
		type: 'options',
		options: [
			{
				name: 'Passphrase',
				value: 'passphrase',
				description: 'Whoever knows the passphrase of the credential can open it',
			},
			{
				name: 'Recipients',
				value: 'recipients',
				description: 'The public keys of the credential. n8n itself then needs nothing secret.',
			},
		],
		default: 'recipients',
		description: 'Who can open the backup',
		displayOptions: shownFor(['age', 'openpgp']),
	},
	{
		displayName: 'Key Derivation',
		name: 'keyDerivation',
		type: 'options',
		options: [
			{ name: 'PBKDF2', value: 'pbkdf2-sha256', description: 'With SHA-256, as most rules ask for' },
			{ name: 'Scrypt', value: 'scrypt', description: 'Harder to guess by machines made for it' },
		],
		default: 'pbkdf2-sha256',
		description: 'How the key is made from the passphrase',
		displayOptions: shownFor(['aes-256-gcm']),
	},
	{
		displayName: 'Rounds',
		name: 'pbkdf2Rounds',
		type: 'number',
		typeOptions: { minValue: 100000, maxValue: 10000000 },
		default: 600000,
		description: 'How much work each guess of the passphrase costs',
		displayOptions: { show: { ...shownFor(['aes-256-gcm']).show, keyDerivation: ['pbkdf2-sha256'] } },
	},
	{
		displayName: 'Work Factor',
		name: 'scryptLogN',
		type: 'number',
		typeOptions: { minValue: 10, maxValue: 20 },
		default: 17,
		description:
			'How much work and memory each guess of the passphrase costs: 17 takes 128 MiB, each one more twice that',
		displayOptions: { show: { ...shownFor(['aes-256-gcm']).show, keyDerivation: ['scrypt'] } },
	},
];

/** The encryption that an item's parameters and the credential ask for. Keys are checked here. */
export async function encodingFor(
	context: IExecuteFunctions,
	itemIndex: number,
	keys: EncryptionKeys,
): Promise<Encoding> {
	const format = context.getNodeParameter('encryptWith', itemIndex, 'age') as EncryptionName;
	const forRecipients =
		format !== 'aes-256-gcm' && context.getNodeParameter('encryptFor', itemIndex) === 'recipients';
	if (!context.getNode().credentials?.lifeboatEncryptionApi) {
		throw new LifeboatError('CREDENTIAL_MISSING', 'No credential is chosen to encrypt with', {
			hint: 'Choose a Backup Encryption Key in the node, or make a new one there',
		});
	}
	const { recipients, passphrase, openpgp = {} } = keys;
	if (!forRecipients && !passphrase) throw missing('Passphrase');
	if (forRecipients && format === 'age' && !recipients?.length) throw missing('Age Recipients');
	if (forRecipients && format === 'openpgp' && !openpgp.publicKeys?.length)
		throw missing('OpenPGP Public Keys');
	return await encryptionEncoding(
		format,
		{
			...(forRecipients ? (format === 'age' ? { recipients } : {}) : { passphrase }),
			...(format === 'openpgp' && { openpgp: forRecipients ? openpgp : { ...openpgp, publicKeys: [] } }),
		},
		format === 'aes-256-gcm' ? derivation(context, itemIndex) : {},
	);
}

function derivation(context: IExecuteFunctions, itemIndex: number): EncryptionOptions {
	const kdf = context.getNodeParameter('keyDerivation', itemIndex) as 'pbkdf2-sha256' | 'scrypt';
	const cost = (name: string) => context.getNodeParameter(name, itemIndex) as number;
	return kdf === 'scrypt'
		? { kdf, scryptLogN: cost('scryptLogN') }
		: { kdf, pbkdf2Rounds: cost('pbkdf2Rounds') };
}

function missing(field: string): LifeboatError {
	return new LifeboatError('KEY_MISSING', `The credential has nothing under ${field}`, {
		hint: `Fill in ${field} in the Backup Encryption Key credential, or choose another way under Encrypt For`,
	});
}
