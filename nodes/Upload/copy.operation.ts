import type { IExecuteFunctions, INodeExecutionData, INodeProperties } from 'n8n-workflow';

import { copyBackup, readBackup } from '../../lib/storage/backups';
import { cancelSignal } from '../shared/run';
import {
	targetPrefixOf,
	targetProperties,
	targetStorageFor,
	twoStorageSwitches,
} from '../shared/second-storage';
import { prefixOf, storageFor } from '../shared/storage';

import { describeStored } from './describe';
import { chosenBackup } from './select';

const show = { operation: ['copy'] };

export const description: INodeProperties[] = [...targetProperties(show), ...twoStorageSwitches];

/** Streams from one storage into the other; nothing is staged. */
export async function execute(context: IExecuteFunctions, itemIndex: number): Promise<INodeExecutionData[]> {
	const signal = cancelSignal(context);
	const from = await storageFor(context, itemIndex);
	try {
		const to = await targetStorageFor(context, itemIndex);
		try {
			const { key, manifest } = await chosenBackup(context, itemIndex, from);
			const prefix = prefixOf(context, itemIndex);
			const relative = key.startsWith(prefix) ? key.slice(prefix.length) : key;
			const copied = await copyBackup(from, key, to, {
				key: targetPrefixOf(context, itemIndex) + relative,
				ifExists: context.getNodeParameter('ifExists', itemIndex) as 'fail' | 'replace',
				signal,
			});
			if (manifest.chain) {
				context.addExecutionHints({
					type: 'info',
					location: 'outputPane',
					message: `${key} builds on the backup ${manifest.chain.parent}: copy that one, too`,
				});
			}
			const { key: stored, ...proof } = { key: copied.key, ...copied.proof };
			return [
				{
					json: {
						...describeStored(await readBackup(to, stored, signal)),
						from: { storage: from.description, key },
						stored: { storage: to.description, key: stored, ...proof },
					},
					pairedItem: { item: itemIndex },
				},
			];
		} finally {
			await to.close();
		}
	} finally {
		await from.close();
	}
}
