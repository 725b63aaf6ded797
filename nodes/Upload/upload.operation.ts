import { hostname } from 'node:os';

import type { IDataObject, IExecuteFunctions, INodeExecutionData, INodeProperties } from 'n8n-workflow';

import { keyPlaceholders, planKey, storeBackup, storeNumbered } from '../../lib/storage/backups';
import { passOn, readArtifact } from '../shared/artifacts';
import { requiredText } from '../shared/parameters';
import { prefixOf, storageFor } from '../shared/storage';

import { assertLinks, describeTransfer, removeLeftovers, transferOptions } from './transfer';

const placeholders = Object.entries(keyPlaceholders)
	.map(([name, meaning]) => `<code>{${name}}</code> (${meaning})`)
	.join(', ');

export const description: INodeProperties[] = [
	{
		displayName: 'Key Template',
		name: 'keyTemplate',
		type: 'string',
		default: '{file}',
		placeholder: 'e.g. {host}/{name}/{year}/{month}/{file}',
		description: `What follows the prefix in the key. Known are ${placeholders}.`,
		displayOptions: { show: { operation: ['upload'] } },
	},
];

export async function execute(context: IExecuteFunctions, itemIndex: number): Promise<INodeExecutionData[]> {
	const artifact = await readArtifact(context, itemIndex);
	const { manifest } = artifact;
	const prefix = prefixOf(context, itemIndex);
	const plan = planKey(prefix, requiredText(context, 'keyTemplate', itemIndex, 'Key Template'), manifest, {
		workflow: context.getWorkflow().name ?? '',
		execution: context.getExecutionId(),
		host: hostname(),
	});
	const options = transferOptions(context, itemIndex, manifest.fileName);
	const storage = await storageFor(context, itemIndex);
	try {
		assertLinks(context, itemIndex, storage);
		await removeLeftovers(context, storage, prefix);
		const store = async (key: string) => await storeBackup(storage, artifact, { ...options, key });
		const result = await storeNumbered(storage, plan, manifest.id, store, options.signal);
		// The backup itself passes on, so that another Upload can make a second copy.
		return [
			passOn(context, itemIndex, {
				manifest: result.manifest as unknown as IDataObject,
				stored: await describeTransfer(context, itemIndex, storage, result),
			}),
		];
	} finally {
		await storage.close();
	}
}
