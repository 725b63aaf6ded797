import type { IExecuteFunctions, INodeExecutionData, INodeProperties } from 'n8n-workflow';

import { applyEncoding } from '../../lib/artifact/transform';
import { encryptionEncoding } from '../../lib/encryption/encryption';
import { LifeboatError } from '../../lib/errors';
import { emitArtifact, readArtifact, type HandOver } from '../shared/artifacts';
import { encryptionKeys } from '../shared/credentials';

export const description: INodeProperties[] = [
	{
		displayName: 'Encrypt For',
		name: 'encryptFor',
		type: 'options',
		options: [
			{
				name: 'Passphrase',
				value: 'passphrase',
				description: 'Whoever knows the passphrase of the credential can open it',
			},
			{
				name: 'Recipients',
				value: 'recipients',
				description: 'The public keys of the credential. n8n itself then needs nothing secret.',
			},
		],
		default: 'recipients',
		description: 'Who can open the backup',
		displayOptions: { show: { operation: ['encrypt'] } },
	},
];

export async function execute(context: IExecuteFunctions, itemIndex: number): Promise<INodeExecutionData[]> {
	const artifact = await readArtifact(context, itemIndex);
	const keys = await encryptionKeys(context, itemIndex);
	const encryptFor = context.getNodeParameter('encryptFor', itemIndex) as 'passphrase' | 'recipients';
	if (encryptFor === 'recipients' && !keys.recipients?.length) throw missing('Age Recipients');
	if (encryptFor === 'passphrase' && !keys.passphrase) throw missing('Passphrase');
	const encoding = await encryptionEncoding(
		'age',
		encryptFor === 'recipients' ? { recipients: keys.recipients } : { passphrase: keys.passphrase },
	);
	const handOver = context.getNodeParameter('handOver', itemIndex) as HandOver;
	return [await emitArtifact(context, itemIndex, applyEncoding(artifact, encoding), handOver)];
}

function missing(field: string): LifeboatError {
	return new LifeboatError('KEY_MISSING', `The credential has nothing under ${field}`, {
		hint: `Fill in ${field} in the Backup Encryption Key credential, or choose another way under Encrypt For`,
	});
}
