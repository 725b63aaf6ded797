import type { IExecuteFunctions, INodeProperties } from 'n8n-workflow';

import { LifeboatError } from '../../../lib/errors';
import type { S3Settings } from '../../../lib/storage/s3/s3-storage';
import { caCertificateOption } from '../properties';

import type { StorageFields } from './storage-kind';

/** The options of a bucket, under the parameter's name. */
export function s3OptionsProperty(name: string): INodeProperties {
	return {
		displayName: 'S3 Options',
		name,
		type: 'collection',
		placeholder: 'Add option',
		default: {},
		options: [
			caCertificateOption,
			{
				displayName: 'KMS Key ID',
				name: 'kmsKeyId',
				type: 'string',
				default: '',
				placeholder: 'e.g. arn:aws:kms:eu-central-1:111122223333:key/1234abcd',
				description: 'With Server-Side Encryption by KMS. Empty stands for the key of the account.',
			},
			{
				displayName: 'Legal Hold',
				name: 'legalHold',
				type: 'boolean',
				default: false,
				description:
					'Whether backups are held until somebody with the right to do so releases them. The bucket needs object lock.',
			},
			{
				displayName: 'Object Lock Mode',
				name: 'objectLockMode',
				type: 'options',
				options: [
					{ name: 'Compliance', value: 'COMPLIANCE', description: 'Nobody can delete it before the time' },
					{ name: 'Governance', value: 'GOVERNANCE', description: 'Only who has a special right can' },
				],
				default: 'GOVERNANCE',
				description: 'How backups are locked until Object Lock Until. The bucket needs object lock.',
			},
			{
				displayName: 'Object Lock Until',
				name: 'objectLockUntil',
				type: 'dateTime',
				default: '',
				placeholder: 'e.g. {{ $now.plus({ days: 30 }) }}',
				description:
					'Until when backups are locked, best as an expression such as <code>{{ $now.plus({ days: 30 }) }}</code>',
			},
			{
				displayName: 'Requester Pays',
				name: 'requesterPays',
				type: 'boolean',
				default: false,
				description: 'Whether requests and downloads are charged to the account of the credential',
			},
			{
				displayName: 'Server-Side Encryption',
				name: 'encryption',
				type: 'options',
				options: [
					{ name: 'AES256', value: 'AES256', description: "With the service's own keys" },
					{
						name: 'Customer Key (SSE-C)',
						value: 'customer',
						description: 'With the key in the credential S3 Customer Key, which every reading needs again',
					},
					{
						name: 'KMS',
						value: 'aws:kms',
						description: 'With a key of AWS KMS, or what the service has for it',
					},
				],
				default: 'AES256',
				description:
					'How the service encrypts what is written. The node Encrypt does it before anything leaves this server.',
			},
			{
				displayName: 'Storage Class',
				name: 'storageClass',
				type: 'options',
				options: [
					{ name: 'Deep Archive', value: 'DEEP_ARCHIVE', description: 'Reading takes up to 48 hours' },
					{
						name: 'Glacier',
						value: 'GLACIER',
						description: 'Flexible retrieval: reading takes minutes to hours',
					},
					{
						name: 'Glacier Instant Retrieval',
						value: 'GLACIER_IR',
						description: 'Read at once, for a price',
					},
					{
						name: 'Intelligent Tiering',
						value: 'INTELLIGENT_TIERING',
						description: 'Moved by how it is used',
					},
					{ name: 'One Zone, Infrequent Access', value: 'ONEZONE_IA', description: 'In one zone only' },
					{
						name: 'Reduced Redundancy',
						value: 'REDUCED_REDUNDANCY',
						description: 'Not for backups that count',
					},
					{ name: 'Standard', value: 'STANDARD', description: 'The ordinary one' },
					{
						name: 'Standard, Infrequent Access',
						value: 'STANDARD_IA',
						description: 'Cheaper to keep, reading costs',
					},
				],
				default: 'STANDARD',
				description:
					'Where backups are put. The files beside them stay in the standard class. What goes into an archive can only be proven by Service Checksum.',
			},
			{
				displayName: 'Tags',
				name: 'tags',
				type: 'string',
				default: '',
				placeholder: 'e.g. team=ops, retention=long',
				description: 'Tags of what is written, as name=value, separated by commas',
			},
		],
		description: 'What is asked of the service for each backup',
	};
}

interface Options {
	caCertificate?: string;
	kmsKeyId?: string;
	legalHold?: boolean;
	objectLockMode?: 'COMPLIANCE' | 'GOVERNANCE';
	objectLockUntil?: string;
	requesterPays?: boolean;
	encryption?: 'AES256' | 'aws:kms' | 'customer';
	storageClass?: NonNullable<S3Settings['storageClass']>;
	tags?: string;
}

/** What the options say. @throws LifeboatError `INVALID_OPTION`. */
export async function s3Options(
	{ context, itemIndex, value }: StorageFields,
	name: string,
): Promise<Partial<S3Settings>> {
	const options = value(name, {}) as Options;
	const { encryption, kmsKeyId, storageClass, requesterPays, legalHold, caCertificate } = options;
	if (kmsKeyId?.trim() && encryption !== 'aws:kms') {
		throw new LifeboatError(
			'INVALID_OPTION',
			'A KMS Key ID is given, but Server-Side Encryption is not KMS',
			{
				hint: 'Set Server-Side Encryption to KMS, or remove the key ID',
			},
		);
	}
	const objectLock = lockOf(options);
	return {
		...(caCertificate?.trim() && { ca: caCertificate }),
		...(storageClass && { storageClass }),
		...(encryption === 'customer' && { customerKey: await customerKey(context, itemIndex) }),
		...(encryption &&
			encryption !== 'customer' && {
				encryption: { algorithm: encryption, ...(kmsKeyId?.trim() && { kmsKeyId: kmsKeyId.trim() }) },
			}),
		...(objectLock && { objectLock }),
		...(legalHold && { legalHold }),
		...(requesterPays && { requesterPays }),
		...(options.tags?.trim() && { tags: tagsOf(options.tags) }),
	};
}

/** The credential that `customer` encryption takes. */
export const customerKeyCredential = {
	name: 'lifeboatS3CustomerKeyApi',
	displayName: 'S3 Customer Key (SSE-C)',
	/** Over the field: all who use S3 see it, few need it. */
	label: 'S3 Customer Key (Only for SSE-C)',
};

async function customerKey(context: IExecuteFunctions, itemIndex: number): Promise<string> {
	const { name, displayName } = customerKeyCredential;
	if (!context.getNode().credentials?.[name]) {
		throw new LifeboatError('KEY_MISSING', `No credential ${displayName} is chosen`, {
			hint: 'Choose it in the node, or another Server-Side Encryption in the S3 options',
		});
	}
	const data = await context.getCredentials(name, itemIndex);
	return typeof data.customerKey === 'string' ? data.customerKey : '';
}

function lockOf({ objectLockMode: mode, objectLockUntil }: Options): S3Settings['objectLock'] {
	// A date of Luxon's, as expressions give it, is text once it is put into one.
	const text = objectLockUntil ? String(objectLockUntil) : '';
	if (text === '' && mode === undefined) return undefined;
	const until = new Date(text);
	if (!Number.isNaN(+until) && +until > Date.now()) return { mode: mode ?? 'GOVERNANCE', until };
	throw new LifeboatError('INVALID_OPTION', `Object Lock Until is not a time in the future: "${text}"`, {
		hint: 'Give a date, best as an expression such as {{ $now.plus({ days: 30 }) }}',
	});
}

function tagsOf(text: string): Record<string, string> {
	const pairs = text.split(',').map((each) => /^\s*([^=]+?)\s*=\s*(.*?)\s*$/.exec(each));
	if (pairs.every((pair) => pair !== null) && pairs.length <= 10)
		return Object.fromEntries(pairs.map(([, name, value]) => [name, value] as [string, string]));
	throw new LifeboatError('INVALID_OPTION', `The tags are not up to ten of name=value: "${text}"`, {
		hint: 'Write them as team=ops, retention=long',
	});
}
