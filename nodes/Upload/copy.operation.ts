import type { IExecuteFunctions, INodeExecutionData, INodeProperties } from 'n8n-workflow';

import { copyBackup, readBackup } from '../../lib/storage/backups';
import {
	credentialSwitches,
	targetPrefixOf,
	targetProperties,
	targetStorageFor,
} from '../shared/second-storage';
import { prefixOf, storageFor } from '../shared/storage';

import { describeStored } from './describe';
import { chosenBackup } from './select';
import { assertLinks, describeTransfer, removeLeftovers, transferOptions } from './transfer';

const show = { operation: ['copy'] };

export const description: INodeProperties[] = [...targetProperties(show), ...credentialSwitches(show)];

/** Streams from one storage into the other; nothing is staged. */
export async function execute(context: IExecuteFunctions, itemIndex: number): Promise<INodeExecutionData[]> {
	const from = await storageFor(context, itemIndex);
	try {
		const to = await targetStorageFor(context, itemIndex);
		try {
			const { key, manifest } = await chosenBackup(context, itemIndex, from);
			const options = transferOptions(context, itemIndex, manifest.fileName);
			const targetPrefix = targetPrefixOf(context, itemIndex);
			assertLinks(context, itemIndex, to);
			await removeLeftovers(context, to, targetPrefix);
			const prefix = prefixOf(context, itemIndex);
			const relative = key.startsWith(prefix) ? key.slice(prefix.length) : key;
			const copied = await copyBackup(from, key, to, {
				...options,
				key: targetPrefix + relative,
			});
			if (manifest.chain) {
				context.addExecutionHints({
					type: 'info',
					location: 'outputPane',
					message: `${key} builds on the backup ${manifest.chain.parent}: copy that one, too`,
				});
			}
			return [
				{
					json: {
						...describeStored(await readBackup(to, copied.key, options.signal)),
						from: { storage: from.description, key },
						stored: await describeTransfer(context, itemIndex, to, copied),
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
