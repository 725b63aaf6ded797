import type { IDataObject, IExecuteFunctions, INodeExecutionData, INodeProperties } from 'n8n-workflow';

import { storeBackup } from '../../lib/storage/backups';
import { readArtifact } from '../shared/artifacts';
import { cancelSignal } from '../shared/run';
import { prefixOf, storageFor } from '../shared/storage';

export const description: INodeProperties[] = [
	{
		displayName: 'If Backup Exists',
		name: 'ifExists',
		type: 'options',
		options: [
			{ name: 'Replace', value: 'replace', description: 'Put the new one in its place' },
			{ name: 'Stop', value: 'fail', description: 'Fail, and leave the stored one as it is' },
		],
		default: 'fail',
		description:
			'What to do when another backup lies under the same key. The same backup once more is no conflict.',
		displayOptions: { show: { operation: ['copy', 'upload'] } },
	},
];

export async function execute(context: IExecuteFunctions, itemIndex: number): Promise<INodeExecutionData[]> {
	const artifact = await readArtifact(context, itemIndex);
	const storage = await storageFor(context, itemIndex);
	try {
		const { key, manifest, proof } = await storeBackup(storage, artifact, {
			prefix: prefixOf(context, itemIndex),
			ifExists: context.getNodeParameter('ifExists', itemIndex) as 'fail' | 'replace',
			signal: cancelSignal(context),
		});
		const input = context.getInputData()[itemIndex]!;
		return [
			{
				// The backup itself passes on, so that another Upload can make a second copy.
				json: {
					...input.json,
					manifest: manifest as unknown as IDataObject,
					stored: { storage: storage.description, key, ...proof },
				},
				...(input.binary ? { binary: input.binary } : {}),
				pairedItem: { item: itemIndex },
			},
		];
	} finally {
		await storage.close();
	}
}
