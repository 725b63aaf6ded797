import {
	NodeConnectionTypes,
	type IExecuteFunctions,
	type INodeExecutionData,
	type INodeType,
	type INodeTypeDescription,
} from 'n8n-workflow';

import { listDatabases } from '../shared/postgres-lists';
import { chosenOperation } from '../shared/parameters';
import { runPerItem } from '../shared/run';

import * as dump from './dump.operation';
import * as dumpAll from './dump-all.operation';
import * as dumpGlobals from './globals.operation';
import { writingProperties } from './make';
import { getSchemas, getTables } from './methods';

const operations = { dump, dumpAll, dumpGlobals };

export class DumpDatabase implements INodeType {
	description: INodeTypeDescription = {
		displayName: 'Dump Database',
		name: 'dumpDatabase',
		icon: { light: 'file:../../icons/dumpDatabase.svg', dark: 'file:../../icons/dumpDatabase.dark.svg' },
		group: ['input'],
		version: [1],
		subtitle:
			'={{ ({ dumpAll: "all databases", dumpGlobals: "roles and tablespaces" })[$parameter["operation"]] || $parameter["name"] || $parameter["database"].value || "PostgreSQL" }}',
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
					{
						name: 'Dump All Databases',
						value: 'dumpAll',
						action: 'Dump all databases',
						description: 'One backup for each database of the server, and one for its roles and tablespaces',
					},
					{
						name: 'Dump Roles and Tablespaces',
						value: 'dumpGlobals',
						action: 'Dump roles and tablespaces',
						description: 'What belongs to the server, not to one of its databases',
					},
				],
				default: 'dump',
			},
			...dump.description,
			...dumpAll.description,
			...dumpGlobals.description,
			...writingProperties,
			dump.options,
			dumpAll.options,
			dumpGlobals.options,
		],
	};

	methods = { listSearch: { listDatabases }, loadOptions: { getSchemas, getTables } };

	async execute(this: IExecuteFunctions): Promise<INodeExecutionData[][]> {
		return await runPerItem(this, async (itemIndex) => {
			return await chosenOperation(this, operations, itemIndex).execute(this, itemIndex);
		});
	}
}
