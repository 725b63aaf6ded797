import type { IDisplayOptions, INodeCredentialDescription, INodeProperties } from 'n8n-workflow';

/** How a node passes its backup on. */
export const handOverProperty: INodeProperties = {
	displayName: 'Hand Over As',
	name: 'handOver',
	type: 'options',
	options: [
		{ name: 'Binary Data', value: 'binary', description: "As n8n's binary data, for other nodes to take" },
		{
			name: 'File',
			value: 'file',
			description: 'Staged on disk until the execution finishes. Best for large backups.',
		},
	],
	default: 'file',
	description: 'How the backup is passed on to the next node',
};

/** The fields of a compression. */
export const compressionProperty: INodeProperties = {
	displayName: 'Compression',
	name: 'compression',
	type: 'options',
	options: [
		{ name: 'Gzip', value: 'gzip', description: 'Opened by every system, slower and larger' },
		{ name: 'None', value: 'none', description: 'For content that is compressed already' },
		{ name: 'Zstandard', value: 'zstd', description: 'Fast and small, opened by zstd' },
	],
	default: 'zstd',
	description: 'How the backup is compressed while it is written',
};

/** Goes into a node's options. */
export const compressionLevelOption: INodeProperties = {
	displayName: 'Compression Level',
	name: 'compressionLevel',
	type: 'number',
	typeOptions: { minValue: 1, maxValue: 19 },
	default: 3,
	description:
		'Higher is smaller and slower: 1 to 9 for Gzip (6 unless given), 1 to 19 for Zstandard (3 unless given)',
};

/** Goes into the options of a node that connects to a database. */
export const caCertificateOption: INodeProperties = {
	displayName: 'CA Certificate',
	name: 'caCertificate',
	type: 'string',
	typeOptions: { rows: 4 },
	default: '',
	placeholder: 'e.g. -----BEGIN CERTIFICATE-----',
	description:
		"PEM certificate of the authority that signed the server's. The connection is then encrypted and checked.",
};

/** Of a node that opens backups, which not all need; the node registers `testEncryptionKey`. */
export const encryptionKeyCredential: INodeCredentialDescription = {
	name: 'lifeboatEncryptionApi',
	displayName: 'Backup Encryption Key',
	required: false,
	testedBy: 'testEncryptionKey',
};

/** A word before data goes away, or a secret comes out. */
export const notice = (
	name: string,
	displayName: string,
	show: NonNullable<IDisplayOptions['show']>,
): INodeProperties => ({ displayName, name, type: 'notice', default: '', displayOptions: { show } });

/** The collection of a node's options, in the order of their titles. */
export function optionsCollection(
	options: INodeProperties[],
	displayOptions?: IDisplayOptions,
	name = 'options',
): INodeProperties {
	return {
		displayName: 'Options',
		name,
		type: 'collection',
		placeholder: 'Add option',
		default: {},
		options: options.toSorted((a, b) => a.displayName.localeCompare(b.displayName, 'en')),
		...(displayOptions && { displayOptions }),
	};
}

/** A property or credential that is shown only where this is chosen, too. */
export function alsoShownFor<Shown extends { displayOptions?: IDisplayOptions }>(
	shown: Shown,
	show: NonNullable<IDisplayOptions['show']>,
): Shown {
	return {
		...shown,
		displayOptions: { ...shown.displayOptions, show: { ...shown.displayOptions?.show, ...show } },
	};
}

/** A database of the server that the credential names. The node has the method `listDatabases`. */
export const databaseProperty = (
	property: Pick<INodeProperties, 'displayName' | 'name' | 'description' | 'displayOptions'>,
): INodeProperties => ({
	...property,
	type: 'resourceLocator',
	default: { mode: 'list', value: '' },
	modes: [
		{
			displayName: 'From List',
			name: 'list',
			type: 'list',
			typeOptions: { searchListMethod: 'listDatabases', searchable: true },
		},
		{ displayName: 'By Name', name: 'name', type: 'string', placeholder: 'e.g. shop' },
	],
});
