import type { IExecuteFunctions, INodeExecutionData, INodeProperties } from 'n8n-workflow';

import { createAgeIdentity } from '../../lib/encryption/encryption';
import { notice } from '../shared/properties';

export const description: INodeProperties[] = [
	notice(
		'createKeyNotice',
		'The identity appears in the output, and n8n keeps it with the execution. Put it into your password safe, then delete the execution.',
		{ operation: ['createKey'] },
	),
];

/** A new key pair. The secret half exists in this item alone: it is written nowhere else. */
export async function execute(context: IExecuteFunctions, itemIndex: number): Promise<INodeExecutionData[]> {
	const { identity, recipient } = await createAgeIdentity();
	context.addExecutionHints({
		type: 'warning',
		location: 'outputPane',
		message:
			'Put the identity into your password safe now, outside this server, and the recipient into Age Recipients of the credential. Then delete this execution: n8n keeps what nodes put out.',
	});
	return [
		{
			json: {
				recipient,
				identity,
				keepIdentity: 'In a password safe, outside this server. Only who decrypts needs it.',
			},
			pairedItem: { item: itemIndex },
		},
	];
}
