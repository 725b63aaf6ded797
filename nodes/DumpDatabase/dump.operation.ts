import type { IExecuteFunctions, INodeExecutionData, INodeProperties } from 'n8n-workflow';

import { textParameter } from '../shared/parameters';

import { makeDump, reach } from './make';

export const description: INodeProperties[] = [
	{
		displayName: 'Database',
		displayOptions: { show: { operation: ['dump'] } },
		name: 'database',
		type: 'resourceLocator',
		default: { mode: 'list', value: '' },
		description: "The database to dump. Empty stands for the credential's.",
		modes: [
			{
				displayName: 'From List',
				name: 'list',
				type: 'list',
				typeOptions: { searchListMethod: 'listDatabases', searchable: true },
			},
			{ displayName: 'By Name', name: 'name', type: 'string', placeholder: 'e.g. shop' },
		],
	},
	{
		displayName: 'Backup Name',
		displayOptions: { show: { operation: ['dump'] } },
		name: 'name',
		type: 'string',
		default: '',
		placeholder: 'e.g. shop',
		description:
			"The name of this backup job, the same for every run: retention and restore go by it. Empty stands for the database's.",
	},
];

export { dumpOptionsProperty as options } from './options.descriptions';

export async function execute(context: IExecuteFunctions, itemIndex: number): Promise<INodeExecutionData[]> {
	const chosen = context.getNodeParameter('database', itemIndex, '', { extractValue: true }) as string;
	const reachable = await reach(context, itemIndex, chosen);
	try {
		const { connection } = reachable;
		const name = textParameter(context, 'name', itemIndex) || connection.database;
		return [await makeDump(context, itemIndex, connection, name)];
	} finally {
		await reachable.close();
	}
}
