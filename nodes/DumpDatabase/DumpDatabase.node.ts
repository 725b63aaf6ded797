import {
	NodeConnectionTypes,
	type IExecuteFunctions,
	type INodeExecutionData,
	type INodeType,
	type INodeTypeDescription,
} from 'n8n-workflow';

import { runPerItem } from '../shared/run';

import * as dump from './dump.operation';
import { getSchemas, getTables, listDatabases } from './methods';

export class DumpDatabase implements INodeType {
	description: INodeTypeDescription = {
		displayName: 'Dump Database',
		name: 'dumpDatabase',
		icon: { light: 'file:../../icons/dumpDatabase.svg', dark: 'file:../../icons/dumpDatabase.dark.svg' },
		group: ['input'],
		version: [1],
		subtitle: '={{ $parameter["name"] || $parameter["database"].value || "PostgreSQL" }}',
		description: 'Back up a PostgreSQL database without pg_dump or any other program on the server',
		defaults: { name: 'Dump Database' },
		usableAsTool: undefined,
		inputs: [NodeConnectionTypes.Main],
		outputs: [NodeConnectionTypes.Main],
		credentials: [{ name: 'postgres', required: true }],
		properties: [
			{
				displayName: 'Engine',
				name: 'engine',
				type: 'options',
				noDataExpression: true,
				options: [{ name: 'PostgreSQL', value: 'postgresql', description: 'PostgreSQL 13 to 18' }],
				default: 'postgresql',
				description: 'The kind of database server',
			},
			{
				displayName: 'Operation',
				name: 'operation',
				type: 'options',
				noDataExpression: true,
				options: [
					{
						name: 'Dump',
						value: 'dump',
						action: 'Dump database',
						description: 'Write schema and rows of one database, as of one moment',
					},
				],
				default: 'dump',
			},
			...dump.description,
		],
	};

	methods = { listSearch: { listDatabases }, loadOptions: { getSchemas, getTables } };

	async execute(this: IExecuteFunctions): Promise<INodeExecutionData[][]> {
		return await runPerItem(this, async (itemIndex) => await dump.execute(this, itemIndex));
	}
}
