import type { IExecuteFunctions, INodeExecutionData, INodeProperties } from 'n8n-workflow';

import { deleteChosenBackup } from '../../lib/storage/backups';
import { notice } from '../shared/properties';
import { cancelSignal } from '../shared/run';
import { prefixOf, storageFor } from '../shared/storage';

import { describeStored } from './describe';
import { chosenKey } from './select';

/** Stands below the choice of the backup. */
export const description: INodeProperties[] = [
	notice(
		'deleteNotice',
		'The backup is deleted for good, with the files beside it. In a bucket that keeps versions it gets a delete marker.',
		{ operation: ['delete'] },
	),
];

export async function execute(context: IExecuteFunctions, itemIndex: number): Promise<INodeExecutionData[]> {
	const storage = await storageFor(context, itemIndex);
	try {
		const key = await chosenKey(context, itemIndex, storage, 'selectOne');
		const gone = await deleteChosenBackup(storage, key, {
			within: prefixOf(context, itemIndex),
			signal: cancelSignal(context),
		});
		return [
			{
				json: {
					...describeStored(gone),
					deleted: true,
					reason: gone.problem === undefined ? 'Asked for' : 'Asked for. It was not whole',
					from: { storage: storage.description },
				},
				pairedItem: { item: itemIndex },
			},
		];
	} finally {
		await storage.close();
	}
}
