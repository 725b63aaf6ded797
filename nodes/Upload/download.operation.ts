import type { IExecuteFunctions, INodeExecutionData, INodeProperties } from 'n8n-workflow';

import { openBackup } from '../../lib/storage/backups';
import { emitArtifact, type HandOver } from '../shared/artifacts';
import { handOverProperty } from '../shared/properties';
import { storageFor } from '../shared/storage';

import { chosenBackup } from './select';

const show = { operation: ['download'] };

export const description: INodeProperties[] = [{ ...handOverProperty, displayOptions: { show } }];

export async function execute(context: IExecuteFunctions, itemIndex: number): Promise<INodeExecutionData[]> {
	const storage = await storageFor(context, itemIndex);
	try {
		const found = await chosenBackup(context, itemIndex, storage);
		const handOver = context.getNodeParameter('handOver', itemIndex) as HandOver;
		const from = { storage: storage.description, key: found.key };
		return [await emitArtifact(context, itemIndex, openBackup(storage, found), handOver, { from })];
	} finally {
		await storage.close();
	}
}
