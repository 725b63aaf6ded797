import type { IExecuteFunctions, INodeExecutionData, INodeProperties } from 'n8n-workflow';

import { recoveryKit } from '../../lib/recovery/recovery-kit';
import { encryptionKeys } from '../shared/credentials';
import { notice } from '../shared/properties';

const show = { operation: ['recoveryKit'] };

export const description: INodeProperties[] = [
	{
		displayName: 'Secret Keys',
		name: 'secretKeys',
		type: 'options',
		noDataExpression: true,
		options: [
			{
				name: 'Include',
				value: 'include',
				description: 'Whoever has the kit can open the backups, and n8n keeps a copy with the execution',
			},
			{ name: 'Leave Out', value: 'leaveOut', description: 'The kit can lie beside the backups' },
		],
		default: 'leaveOut',
		description: 'Whether identities, private keys and passphrases of the credential go into the kit',
		displayOptions: { show },
	},
	notice(
		'secretKeysNotice',
		'Whoever gets hold of the kit opens every backup. Keep it offline, and delete the execution once you have it.',
		{ ...show, secretKeys: ['include'] },
	),
	{
		displayName: 'Put Output File in Field',
		name: 'kitField',
		type: 'string',
		required: true,
		default: 'data',
		hint: 'The name of the output binary field to put the file in',
		displayOptions: { show },
	},
];

export async function execute(context: IExecuteFunctions, itemIndex: number): Promise<INodeExecutionData[]> {
	const kit = await recoveryKit({
		keys: await encryptionKeys(context, itemIndex),
		includeSecrets: context.getNodeParameter('secretKeys', itemIndex) === 'include',
		now: new Date(),
	});
	const field = context.getNodeParameter('kitField', itemIndex) as string;
	const fileName = 'lifeboat-recovery-kit.tar';
	return [
		{
			json: { fileName, size: kit.length },
			binary: { [field]: await context.helpers.prepareBinaryData(kit, fileName, 'application/x-tar') },
			pairedItem: { item: itemIndex },
		},
	];
}
