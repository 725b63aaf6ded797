import type { IExecuteFunctions, INodeExecutionData, INodeProperties } from 'n8n-workflow';

import { prepareGlobalsDump, type GlobalsOptions } from '../../lib/databases/postgres';
import { textParameter } from '../shared/parameters';
import { cancelSignal } from '../shared/run';

import { makeScript, reach } from './make';
import type { DumpNodeOptions } from './options';

export const description: INodeProperties[] = [
	{
		displayName: 'Backup Name',
		name: 'globalsName',
		type: 'string',
		default: 'globals',
		displayOptions: { show: { operation: ['dumpGlobals'] } },
		description: 'The name of this backup job, the same for every run: retention and restore go by it',
	},
	{
		displayName: 'Passwords',
		name: 'passwords',
		type: 'options',
		options: [
			{ name: 'If Permitted', value: 'if permitted', description: 'With them where the user may read them' },
			{ name: 'Leave Out', value: 'none', description: 'Roles without their passwords' },
			{ name: 'Required', value: 'required', description: 'Fail where the user may not read them' },
		],
		default: 'if permitted',
		displayOptions: { show: { operation: ['dumpGlobals'] } },
		description:
			"Whether the hashes of the roles' passwords go into the dump. Superusers may read them, and members of pg_read_all_data.",
	},
];

export { globalsOptionsProperty as options } from './options.descriptions';

export async function execute(context: IExecuteFunctions, itemIndex: number): Promise<INodeExecutionData[]> {
	const reachable = await reach(context, itemIndex, '');
	try {
		const { includeHost } = context.getNodeParameter('options', itemIndex, {}) as DumpNodeOptions;
		const passwords = context.getNodeParameter('passwords', itemIndex) as GlobalsOptions['passwords'];
		const dump = await prepareGlobalsDump(
			reachable.connection,
			{ passwords, includeHost },
			{ signal: cancelSignal(context) },
		);
		const name = textParameter(context, 'globalsName', itemIndex) || 'globals';
		return [await makeScript(context, itemIndex, dump, name)];
	} finally {
		await reachable.close();
	}
}
