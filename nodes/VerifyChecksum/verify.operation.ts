import type { IDataObject, IExecuteFunctions, INodeExecutionData, INodeProperties } from 'n8n-workflow';

import { decoderWith } from '../../lib/encryption/decoder';
import { verifyComplete, verifyReadable, verifyStored } from '../../lib/verification/verify';
import { readArtifact } from '../shared/artifacts';
import { encryptionKeys } from '../shared/credentials';
import { cancelSignal } from '../shared/run';

type Level = 'stored' | 'readable' | 'complete';

export const description: INodeProperties[] = [
	{
		displayName: 'Level',
		name: 'level',
		type: 'options',
		options: [
			{
				name: 'Stored',
				value: 'stored',
				description: 'Size and SHA-256 of the bytes are those of the manifest',
			},
			{
				name: 'Readable',
				value: 'readable',
				description: 'It also decrypts and decompresses to the end, and the content is what was backed up',
			},
			{
				name: 'Complete',
				value: 'complete',
				description: "The format's end is also there, and every table has as many rows as were counted",
			},
		],
		default: 'stored',
		description: 'How much is proven. Each level includes those before it and reads the whole backup once.',
		displayOptions: { show: { operation: ['verify'] } },
	},
];

export async function execute(context: IExecuteFunctions, itemIndex: number): Promise<INodeExecutionData[]> {
	const artifact = await readArtifact(context, itemIndex);
	const level = context.getNodeParameter('level', itemIndex) as Level;
	const signal = cancelSignal(context);
	const decoder = level === 'stored' ? undefined : decoderWith(await encryptionKeys(context, itemIndex));
	const report = decoder
		? await (level === 'complete' ? verifyComplete : verifyReadable)(artifact, decoder, signal)
		: await verifyStored(artifact, signal);
	// The backup passes on unchanged: verifying is a step on the way to Upload.
	const input = context.getInputData()[itemIndex]!;
	return [
		{
			json: { ...input.json, verification: report as unknown as IDataObject },
			...(input.binary ? { binary: input.binary } : {}),
			pairedItem: { item: itemIndex },
		},
	];
}
