import type { IExecuteFunctions, INodeCredentialDescription, INodeProperties } from 'n8n-workflow';

import { LifeboatError } from '../../lib/errors';
import type { Storage } from '../../lib/storage/storage';

import { textParameter } from './parameters';
import { alsoShownFor } from './properties';
import { storageKinds } from './storages/kinds';
import { customerKeyCredential } from './storages/s3-options';
import { storageFields } from './storages/storage-kind';

/** A type of credential, and the storages that take it. */
export interface StorageCredential extends Pick<
	INodeCredentialDescription,
	'name' | 'displayName' | 'required'
> {
	storages: string[];
}

/** One entry a type, since n8n heeds only the first. */
export const credentialTypes: readonly StorageCredential[] = [
	...storageKinds.flatMap(({ value, credential }) =>
		credential === undefined ? [] : { name: credential, required: true, storages: [value] },
	),
	{
		name: customerKeyCredential.name,
		displayName: customerKeyCredential.label,
		required: false,
		storages: storageKinds.filter(({ takesCustomerKey }) => takesCustomerKey).map(({ value }) => value),
	},
];

/** Credentials of a node that has the storage fields. */
export const storageCredentials: INodeCredentialDescription[] = credentialTypes.map(
	({ storages, ...credential }) => ({ ...credential, displayOptions: { show: { storage: storages } } }),
);

/** Where backups lie: the fields that every node with a destination begins with. */
export const storageProperties: INodeProperties[] = [
	{
		displayName: 'Storage',
		name: 'storage',
		type: 'options',
		noDataExpression: true,
		options: storageKinds.map(({ name, value, description }) => ({ name, value, description })),
		default: 'local',
		description: 'The kind of place where the backups lie',
	},
	...ofEachKind(({ type }) => type !== 'collection'),
	{
		displayName: 'Prefix',
		name: 'prefix',
		type: 'string',
		default: '',
		placeholder: 'e.g. shop/',
		description: 'The start of the keys of these backups, like a folder. Empty stands for the whole storage.',
	},
	...ofEachKind(({ type }) => type === 'collection'),
];

function ofEachKind(which: (property: INodeProperties) => boolean): INodeProperties[] {
	return storageKinds.flatMap(({ value, properties }) =>
		properties.filter(which).map((property) => alsoShownFor(property, { storage: [value] })),
	);
}

const kindNames = JSON.stringify(Object.fromEntries(storageKinds.map(({ value, name }) => [value, name])));

/** For a node's subtitle: where the backups lie, in as many words as the canvas has room for. */
export const placeExpression = `($parameter["bucket"] || $parameter["container"] || $parameter["folder"] || ${kindNames}[$parameter["storage"]])`;

/** The storage that an item's parameters name. The caller closes it. */
export async function storageFor(context: IExecuteFunctions, itemIndex: number): Promise<Storage> {
	return await openStorage(context, itemIndex, (field) => field);
}

/** @param nameOf the parameter's name for a field's, where a node has a second storage. */
export async function openStorage(
	context: IExecuteFunctions,
	itemIndex: number,
	nameOf: (field: string) => string,
): Promise<Storage> {
	const value = context.getNodeParameter(nameOf('storage'), itemIndex) as string;
	const kind = storageKinds.find((each) => each.value === value);
	if (!kind) {
		throw new LifeboatError(
			'INVALID_OPTION',
			`This version of Lifeboat does not know the storage "${value}"`,
			{
				hint: 'Choose one of the list under Storage',
			},
		);
	}
	const { credential, name } = kind;
	if (credential !== undefined && !context.getNode().credentials?.[credential]) {
		throw new LifeboatError('CREDENTIAL_MISSING', `No credential is chosen for ${name}`, {
			hint: 'Choose one in the node, or make a new one there',
		});
	}
	return await kind.open(storageFields(context, itemIndex, nameOf));
}

/** The prefix of an item, always ending in `/` unless it is empty. */
export function prefixOf(context: IExecuteFunctions, itemIndex: number): string {
	return prefixAt(context, itemIndex, 'prefix');
}

/** As `prefixOf`, from another field. */
export function prefixAt(context: IExecuteFunctions, itemIndex: number, parameter: string): string {
	const prefix = textParameter(context, parameter, itemIndex).replace(/^\/+/, '');
	return prefix === '' || prefix.endsWith('/') ? prefix : `${prefix}/`;
}
