import type { IExecuteFunctions, INodeExecutionData, INodeProperties } from 'n8n-workflow';

import { chosenText, textParameter } from '../shared/parameters';
import { databaseProperty } from '../shared/properties';

import { makeDump, reach } from './make';

export const description: INodeProperties[] = [
	databaseProperty({
		displayName: 'Database',
		name: 'database',
		description: "The database to dump. Empty stands for the credential's.",
		displayOptions: { show: { operation: ['dump'] } },
	}),
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
	const chosen = chosenText(context, 'database', itemIndex);
	const reachable = await reach(context, itemIndex, chosen);
	try {
		const { connection } = reachable;
		const name = textParameter(context, 'name', itemIndex) || connection.database;
		return [await makeDump(context, itemIndex, connection, name)];
	} finally {
		await reachable.close();
	}
}
