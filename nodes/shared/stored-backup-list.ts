import type {
	IDisplayOptions,
	ILoadOptionsFunctions,
	INodeListSearchResult,
	INodeProperties,
} from 'n8n-workflow';

import { bytesInWords } from '../../lib/retention/bytes';
import { listBackups, type StoredBackup } from '../../lib/storage/backups';

import { toNodeError } from './errors';
import { asExecution } from './poll';
import { prefixOf, storageFor } from './storage';

/** A longer list is of no use; the search goes through all. */
const MOST_SHOWN = 200;

/** The key of a stored backup, chosen from those that lie there. The node has the method `listStoredBackups`. */
export const storedBackupProperty = (
	show: NonNullable<IDisplayOptions['show']>,
	description: string,
): INodeProperties => ({
	displayName: 'Stored Backup',
	name: 'key',
	type: 'resourceLocator',
	required: true,
	default: { mode: 'list', value: '' },
	modes: [
		{
			displayName: 'From List',
			name: 'list',
			type: 'list',
			typeOptions: {
				searchListMethod: 'listStoredBackups',
				searchable: true,
				// A local folder has none. Without this n8n's panel asks for one all the same, and shows no list.
				skipCredentialsCheckInRLC: true,
			},
		},
		{
			displayName: 'By Key',
			name: 'key',
			type: 'string',
			placeholder: 'e.g. shop/shop-20261121T020000Z.sql.zst.age',
		},
	],
	description,
	displayOptions: { show },
});

/** The backups under the node's prefix, the newest first, those with problems last. */
export async function listStoredBackups(
	this: ILoadOptionsFunctions,
	filter = '',
): Promise<INodeListSearchResult> {
	const context = asExecution(this);
	try {
		const storage = await storageFor(context, 0);
		try {
			const found: StoredBackup[] = [];
			for await (const backup of listBackups(storage, { prefix: prefixOf(context, 0) })) found.push(backup);
			const results = found
				.sort((a, b) => timeOf(b).localeCompare(timeOf(a)))
				.map((backup) => ({ name: inWords(backup), value: backup.key }))
				.filter(({ name, value }) => `${name} ${value}`.toLowerCase().includes(filter.toLowerCase()));
			return { results: results.slice(0, MOST_SHOWN) };
		} finally {
			await storage.close();
		}
	} catch (error) {
		throw toNodeError(this.getNode(), error, 0);
	}
}

const timeOf = ({ manifest }: StoredBackup) => manifest?.createdAt ?? '';

function inWords({ key, size, manifest, problem, marks }: StoredBackup): string {
	if (!manifest) return `${key}: ${problem ?? 'no manifest'}`;
	const encrypted = manifest.transformations.some(({ type }) => type === 'encryption');
	const facts = [
		`${manifest.createdAt.slice(0, 16).replace('T', ' ')} UTC`,
		...(size === undefined ? [] : [bytesInWords(size)]),
		...(encrypted ? ['encrypted'] : []),
		...(marks.proof?.passed ? ['proven'] : []),
		...(marks.pinned ? ['pinned'] : []),
		...(problem === undefined ? [] : [problem]),
	];
	return `${manifest.name} (${manifest.kind}), ${facts.join(', ')}`;
}
