import type { IExecuteFunctions, INodeExecutionData } from 'n8n-workflow';

import { deleteChosenBackup } from '../../lib/storage/backups';
import { cancelSignal } from '../shared/run';
import { prefixOf, storageFor } from '../shared/storage';

import { describeStored } from './describe';
import { chosenKey } from './select';

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
