import type { IExecuteFunctions, INodeExecutionData, INodeProperties } from 'n8n-workflow';

import { listBackups, type StoredBackup } from '../../lib/storage/backups';
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
];

/** One item a backup, the newest first; those with problems at the end, since their times are not known for sure. */
export async function execute(context: IExecuteFunctions, itemIndex: number): Promise<INodeExecutionData[]> {
	const storage = await storageFor(context, itemIndex);
	try {
		const backups: StoredBackup[] = [];
		const prefix = prefixOf(context, itemIndex);
		for await (const backup of listBackups(storage, { prefix, signal: cancelSignal(context) }))
			backups.push(backup);
		const time = ({ manifest }: StoredBackup) => manifest?.createdAt ?? '';
		backups.sort((a, b) => (time(a) < time(b) ? 1 : time(a) > time(b) ? -1 : 0));
		const all = context.getNodeParameter('returnAll', itemIndex) as boolean;
		const limit = all ? backups.length : (context.getNodeParameter('limit', itemIndex) as number);
		return backups
			.slice(0, limit)
			.map((backup) => ({ json: describeStored(backup), pairedItem: { item: itemIndex } }));
	} finally {
		await storage.close();
	}
}
