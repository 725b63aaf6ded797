import { finished } from 'node:stream/promises';

import type { IExecuteFunctions, INodeExecutionData, INodeProperties } from 'n8n-workflow';

import { sha256Sidecar } from '../../lib/storage/backups/sidecars';
import { DigestStream } from '../../lib/streams/digest';
import { chain } from '../../lib/streams/chain';
import { readArtifact } from '../shared/artifacts';
import { cancelSignal } from '../shared/run';

import { passed } from './outputs';

export const description: INodeProperties[] = [
	{
		displayName: 'Put Output File in Field',
		name: 'binaryPropertyOutput',
		type: 'string',
		required: true,
		default: 'checksum',
		placeholder: 'e.g. checksum',
		hint: 'The name of the output binary field to put the checksum file in',
		displayOptions: { show: { operation: ['create'] } },
	},
];

/** Reads the bytes as they are now, whatever the manifest says, and tells their SHA-256. */
export async function execute(
	context: IExecuteFunctions,
	itemIndex: number,
): Promise<INodeExecutionData[][]> {
	const artifact = await readArtifact(context, itemIndex);
	const field = context.getNodeParameter('binaryPropertyOutput', itemIndex) as string;
	const signal = cancelSignal(context);
	const opened = await artifact.open(signal);
	const digest = new DigestStream();
	const stream = chain(opened.stream, [digest], signal);
	stream.resume();
	await finished(stream);
	const { fileName } = await opened.finish();
	const { size, sha256 } = digest.digest();
	const line = sha256Sidecar(fileName, sha256);
	const input = context.getInputData()[itemIndex]!;
	return passed({
		json: { ...input.json, checksum: { algorithm: 'SHA-256', value: sha256, size, line: line.trimEnd() } },
		binary: {
			...input.binary,
			[field]: await context.helpers.prepareBinaryData(Buffer.from(line), `${fileName}.sha256`, 'text/plain'),
		},
		pairedItem: { item: itemIndex },
	});
}
