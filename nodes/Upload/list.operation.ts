import type { IDataObject, IExecuteFunctions, INodeExecutionData, INodeProperties } from 'n8n-workflow';

import { listBackups, listForeignFiles, type StoredBackup } from '../../lib/storage/backups';
import type { Storage } from '../../lib/storage/storage';
import { cancelSignal } from '../shared/run';
import { prefixOf, storageFor } from '../shared/storage';

import { describeStored } from './describe';

const show = { operation: ['list'] };

export const description: INodeProperties[] = [
	{
		displayName: 'Return All',
		name: 'returnAll',
		type: 'boolean',
		default: true,
		description: 'Whether to return all results or only up to a given limit',
		displayOptions: { show },
	},
	{
		displayName: 'Limit',
		name: 'limit',
		type: 'number',
		typeOptions: { minValue: 1 },
		default: 50,
		description: 'Max number of results to return',
		displayOptions: { show: { ...show, returnAll: [false] } },
	},
	{
		displayName: 'Options',
		name: 'listOptions',
		type: 'collection',
		placeholder: 'Add option',
		default: {},
		options: [
			{
				displayName: 'Include Foreign Files',
				name: 'includeForeign',
				type: 'boolean',
				default: false,
				description:
					'Whether to return files, too, that belong to no backup: those of others, and objects whose upload ended before their manifest',
			},
			{
				displayName: 'Include Unfinished Uploads',
				name: 'includeUnfinished',
				type: 'boolean',
				default: false,
				description:
					'Whether to return uploads, too, that were not finished: cut short, or still under way. They cost space though no listing shows them.',
			},
		],
		displayOptions: { show },
	},
];

/**
 * One item a backup, the newest first; those with problems at the end, since their times are not known for sure. Then what isn't a
 * backup, if asked for; `type` says what each is.
 */
export async function execute(context: IExecuteFunctions, itemIndex: number): Promise<INodeExecutionData[]> {
	const storage = await storageFor(context, itemIndex);
	try {
		const options = context.getNodeParameter('listOptions', itemIndex, {}) as {
			includeForeign?: boolean;
			includeUnfinished?: boolean;
		};
		const scope = { prefix: prefixOf(context, itemIndex), signal: cancelSignal(context) };
		const backups: StoredBackup[] = [];
		for await (const backup of listBackups(storage, scope)) backups.push(backup);
		const time = ({ manifest }: StoredBackup) => manifest?.createdAt ?? '';
		backups.sort((a, b) => (time(a) < time(b) ? 1 : time(a) > time(b) ? -1 : 0));

		const all = context.getNodeParameter('returnAll', itemIndex) as boolean;
		const limit = all ? Infinity : (context.getNodeParameter('limit', itemIndex) as number);
		const found: IDataObject[] = backups
			.slice(0, limit)
			.map((backup) => ({ type: 'backup', ...describeStored(backup) }));
		const others = async function* () {
			if (options.includeForeign) yield* foreignFiles(storage, scope);
			if (options.includeUnfinished) yield* unfinishedUploads(storage, scope);
		};
		if (found.length < limit) {
			for await (const other of others()) {
				if (found.push(other) >= limit) break;
			}
		}
		return found.map((json) => ({ json, pairedItem: { item: itemIndex } }));
	} finally {
		await storage.close();
	}
}

interface Scope {
	prefix: string;
	signal: AbortSignal;
}

async function* foreignFiles(storage: Storage, scope: Scope): AsyncGenerator<IDataObject> {
	for await (const { key, size, modifiedAt } of listForeignFiles(storage, scope)) {
		yield { type: 'foreign', key, size, modifiedAt: modifiedAt.toISOString() };
	}
}

async function* unfinishedUploads(storage: Storage, { prefix, signal }: Scope): AsyncGenerator<IDataObject> {
	for await (const { startedAt, ...upload } of storage.unfinished(prefix, signal)) {
		yield { type: 'unfinished', ...upload, startedAt: startedAt.toISOString() };
	}
}
