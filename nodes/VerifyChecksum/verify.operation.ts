import type { IDataObject, IExecuteFunctions, INodeExecutionData, INodeProperties } from 'n8n-workflow';

import { decoderWith } from '../../lib/encryption/decoder';
import { checkBackup } from '../../lib/verification/outcome';
import type { VerificationLevel } from '../../lib/verification/report';
import { readArtifact } from '../shared/artifacts';
import { encryptionKeys } from '../shared/credentials';
import { cancelSignal } from '../shared/run';

import { failed, passed } from './outputs';

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

export async function execute(
	context: IExecuteFunctions,
	itemIndex: number,
): Promise<INodeExecutionData[][]> {
	const artifact = await readArtifact(context, itemIndex);
	const level = context.getNodeParameter('level', itemIndex) as VerificationLevel;
	const decoder = decoderWith(level === 'stored' ? {} : await encryptionKeys(context, itemIndex));
	const outcome = await checkBackup(artifact, level, decoder, cancelSignal(context));
	if (!outcome.passed) {
		const { error, proved } = outcome;
		return failed(context, itemIndex, error, { level: outcome.level, proved, manifest: artifact.manifest });
	}
	// The backup passes on unchanged: verifying is a step on the way to Upload.
	const input = context.getInputData()[itemIndex]!;
	return passed({
		json: { ...input.json, verification: outcome.report as unknown as IDataObject },
		...(input.binary ? { binary: input.binary } : {}),
		pairedItem: { item: itemIndex },
	});
}
