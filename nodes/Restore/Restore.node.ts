import {
	NodeConnectionTypes,
	type IExecuteFunctions,
	type INodeExecutionData,
	type INodeType,
	type INodeTypeDescription,
} from 'n8n-workflow';

import { testEncryptionKey } from '../shared/encryption-key-test';
import { listDatabases } from '../shared/postgres-lists';
import { encryptionKeyCredential } from '../shared/properties';
import { chosenOperation } from '../shared/parameters';
import { runPerItem } from '../shared/run';

import * as database from './database.operation';
import * as files from './files.operation';

export class Restore implements INodeType {
	description: INodeTypeDescription = {
		displayName: 'Restore',
		name: 'restore',
		icon: { light: 'file:../../icons/restore.svg', dark: 'file:../../icons/restore.dark.svg' },
		group: ['output'],
		version: [1],
		subtitle:
			'={{ $parameter["operation"] === "files" ? "files" + ($parameter["targetFolder"] ? ": " + $parameter["targetFolder"] : "") : ({ existing: "database", new: "new database", swap: "swap database" })[$parameter["target"]] + (($parameter["targetDatabase"].value ?? $parameter["targetDatabase"]) ? ": " + ($parameter["targetDatabase"].value ?? $parameter["targetDatabase"]) : "") }}',
		description: 'Bring a database or files back from a backup, verified before anything is touched',
		defaults: { name: 'Restore' },
		usableAsTool: undefined,
		inputs: [NodeConnectionTypes.Main],
		outputs: [NodeConnectionTypes.Main],
		credentials: [
			{ name: 'postgres', required: true, displayOptions: { show: { operation: ['database'] } } },
			encryptionKeyCredential,
		],
		properties: [
			{
				displayName: 'Operation',
				name: 'operation',
				type: 'options',
				noDataExpression: true,
				options: [
					{
						name: 'Database',
						value: 'database',
						action: 'Restore database',
						description: 'Load the dump of a database into a PostgreSQL server',
					},
					{
						name: 'Files',
						value: 'files',
						action: 'Restore files',
						description: 'Unpack an archive of files into a folder',
					},
				],
				default: 'database',
			},
			...database.description,
			...files.description,
			{
				displayName: 'Entry',
				name: 'entry',
				type: 'string',
				default: '',
				placeholder: 'e.g. shop',
				description:
					'If the backup is a bundle: the name of the backup in it. Empty stands for the only one of the kind.',
				displayOptions: { hide: { takeFrom: ['binary', 'file'] } },
			},
			...database.options,
		],
	};

	methods = { credentialTest: { testEncryptionKey }, listSearch: { listDatabases } };

	async execute(this: IExecuteFunctions): Promise<INodeExecutionData[][]> {
		return await runPerItem(this, async (itemIndex) => {
			return await chosenOperation(this, { database, files }, itemIndex).execute(this, itemIndex);
		});
	}
}
