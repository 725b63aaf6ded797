import type { IExecuteFunctions, INodeExecutionData, INodeProperties } from 'n8n-workflow';

import { sha256Sidecar } from '../../lib/storage/backups/sidecars';
import { checksumAlgorithms, checksumsOf, type ChecksumName } from '../../lib/verification/checksum';
import { passOn, readArtifact } from '../shared/artifacts';
import { cancelSignal } from '../shared/run';

import { passed } from './outputs';

const show = { operation: ['create'] };

export const description: INodeProperties[] = [
	{
		displayName: 'Algorithm',
		name: 'algorithm',
		type: 'options',
		options: [
			{ name: 'BLAKE2b-512', value: 'blake2b', description: 'Checked by b2sum -c' },
			{ name: 'MD5', value: 'md5', description: 'Checked by md5sum -c. It finds accidents, not forgeries.' },
			{ name: 'SHA-256', value: 'sha256', description: 'Checked by sha256sum -c' },
			{ name: 'SHA-512', value: 'sha512', description: 'Checked by sha512sum -c' },
		],
		default: 'sha256',
		description: 'How the bytes are summed up',
		displayOptions: { show },
	},
	{
		displayName: 'Put Output File in Field',
		name: 'binaryPropertyOutput',
		type: 'string',
		required: true,
		default: 'checksum',
		placeholder: 'e.g. checksum',
		hint: 'The name of the output binary field to put the checksum file in',
		displayOptions: { show },
	},
];

/** Reads the bytes, which must be those of the manifest, and tells their checksum. */
export async function execute(
	context: IExecuteFunctions,
	itemIndex: number,
): Promise<INodeExecutionData[][]> {
	const artifact = await readArtifact(context, itemIndex);
	const field = context.getNodeParameter('binaryPropertyOutput', itemIndex) as string;
	const name = context.getNodeParameter('algorithm', itemIndex, 'sha256') as ChecksumName;
	const { title, extension } = checksumAlgorithms[name];
	const { fileName, size, values } = await checksumsOf(artifact, [name], cancelSignal(context));
	const value = values.get(name)!;
	const line = sha256Sidecar(fileName, value);
	const checksum = { algorithm: title, value, size, line: line.trimEnd() };
	const file = await context.helpers.prepareBinaryData(Buffer.from(line), fileName + extension, 'text/plain');
	const item = passOn(context, itemIndex, { checksum });
	return passed({ ...item, binary: { ...item.binary, [field]: file } });
}
