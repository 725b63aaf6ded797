import type {
	IDisplayOptions,
	IExecuteFunctions,
	INodeCredentialDescription,
	INodeProperties,
} from 'n8n-workflow';

import type { Storage } from '../../lib/storage/storage';

import { alsoShownFor } from './properties';
import { credentialTypes, openStorage, prefixAt } from './storage';
import { storageKinds } from './storages/kinds';

/** The parameter of the second storage for a field of a storage: `targetBucket` for `bucket`. */
const targetName = (field: string) => `target${field[0]!.toUpperCase()}${field.slice(1)}`;

type Show = NonNullable<IDisplayOptions['show']>;

/** The fields of a second storage, shown under these conditions. */
export function targetProperties(show: Show): INodeProperties[] {
	return [
		{
			displayName: 'Destination',
			name: 'targetStorage',
			type: 'options',
			noDataExpression: true,
			options: storageKinds.map(({ name, value, description }) => ({ name, value, description })),
			default: 'local',
			description:
				'The kind of place to copy to. One of the same kind is reached with the same credential: n8n gives a node one of each type.',
			displayOptions: { show },
		},
		...ofEachKind(show, ({ type }) => type !== 'collection'),
		{
			displayName: 'Destination Prefix',
			name: 'targetPrefix',
			type: 'string',
			default: '',
			placeholder: 'e.g. shop/',
			description:
				'The start of the keys there. What follows the Prefix in the key of the backup is put behind it.',
			displayOptions: { show },
		},
		...ofEachKind(show, ({ type }) => type === 'collection'),
	];
}

function ofEachKind(show: Show, which: (property: INodeProperties) => boolean): INodeProperties[] {
	return storageKinds.flatMap(({ value, properties }) => {
		const own = new Set(properties.map(({ name }) => name));
		return properties.filter(which).map((property) => ({
			...alsoShownFor(renamed(property, own), { ...show, targetStorage: [value] }),
			name: targetName(property.name),
			displayName: `Destination ${property.displayName}`,
		}));
	});
}

/** A property whose conditions, also those of its options, speak of the second storage's fields. */
function renamed(property: INodeProperties, own: ReadonlySet<string>): INodeProperties {
	const name = (field: string) => {
		const [, root, plain] = /^(\/?)(.*)$/s.exec(field) as unknown as [string, string, string];
		return own.has(plain) ? `${root}${targetName(plain)}` : field;
	};
	const conditions = <Rules extends object>(rules: Rules) =>
		Object.fromEntries(
			Object.entries(rules).map(([field, values]) => [name(field), values as never]),
		) as Show;
	const { show, hide } = property.displayOptions ?? {};
	const options = property.options?.map((option) =>
		'type' in option && 'name' in option ? renamed(option, own) : option,
	);
	return {
		...property,
		...(options && { options }),
		...(property.displayOptions && {
			displayOptions: {
				...property.displayOptions,
				...(show && { show: conditions(show) }),
				...(hide && { hide: conditions(hide) }),
			},
		}),
	};
}

/** The hidden field that is there while one of a node's two storages takes a credential. */
const used = (credential: string) => `${credential}Used`;

/**
 * The credentials of a node with two storages. Each is wanted for the one or for the other, which conditions can't say: they are joined by
 * "and", and n8n heeds only the first entry of a type. So a hidden field says it.
 */
export const twoStorageCredentials: INodeCredentialDescription[] = credentialTypes.map(
	({ name, displayName, required }) => ({
		...{ name, displayName, required },
		displayOptions: { show: { [used(name)]: ['yes'] } },
	}),
);

/** The hidden fields for `twoStorageCredentials`, where the second storage is shown under these conditions. */
export function credentialSwitches(show: Show): INodeProperties[] {
	return credentialTypes.flatMap(({ name, storages }) => {
		const field: INodeProperties = {
			displayName: 'Credential in Use',
			name: used(name),
			type: 'hidden',
			default: 'yes',
			description: 'Whether a storage of this node takes the credential',
		};
		return [
			{ ...field, displayOptions: { show: { storage: storages } } },
			{
				...field,
				displayOptions: { show: { ...show, targetStorage: storages }, hide: { storage: storages } },
			},
		];
	});
}

/** The second storage that an item's parameters name. The caller closes it. */
export async function targetStorageFor(context: IExecuteFunctions, itemIndex: number): Promise<Storage> {
	return await openStorage(context, itemIndex, targetName);
}

/** As `prefixOf`, for the second storage. */
export function targetPrefixOf(context: IExecuteFunctions, itemIndex: number): string {
	return prefixAt(context, itemIndex, targetName('prefix'));
}
