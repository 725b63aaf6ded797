import {
	NodeConnectionTypes,
	type IExecuteFunctions,
	type INodeExecutionData,
	type INodeType,
	type INodeTypeDescription,
} from 'n8n-workflow';

import { handOverProperty } from '../shared/properties';
import { chosenOperation } from '../shared/parameters';
import { runPerItem } from '../shared/run';

import { compressionFields, optionsField, pathFields } from './descriptions';
import * as bundle from './bundle.operation';
import * as files from './files.operation';

export class ArchiveFiles implements INodeType {
	description: INodeTypeDescription = {
		displayName: 'Archive Files',
		name: 'archiveFiles',
		icon: { light: 'file:../../icons/archiveFiles.svg', dark: 'file:../../icons/archiveFiles.dark.svg' },
		group: ['input'],
		version: [1],
		subtitle:
			'={{ $parameter["operation"] === "bundle" ? "bundle" : "files" }}{{ $parameter["name"] ? ": " + $parameter["name"] : "" }}',
		description: 'Pack files and folders, or the backups of this run, into one archive',
		defaults: { name: 'Archive Files' },
		usableAsTool: undefined,
		inputs: [NodeConnectionTypes.Main],
		outputs: [NodeConnectionTypes.Main],
		properties: [
			{
				displayName: 'Operation',
				name: 'operation',
				type: 'options',
				noDataExpression: true,
				options: [
					{
						name: 'Archive Files',
						value: 'files',
						action: 'Archive files',
						description: 'Pack files and folders of this server into a tar archive',
					},
					{
						name: 'Create Bundle',
						value: 'bundle',
						action: 'Create bundle',
						description:
							'Put all incoming backups, and files if you like, into one archive with a manifest of its own',
					},
				],
				default: 'files',
			},
			{
				displayName: 'Backup Name',
				name: 'name',
				type: 'string',
				required: true,
				default: '',
				placeholder: 'e.g. shop',
				description: 'The name of this backup job, the same for every run: retention and restore go by it',
			},
			...pathFields,
			...compressionFields,
			handOverProperty,
			optionsField,
		],
	};

	async execute(this: IExecuteFunctions): Promise<INodeExecutionData[][]> {
		const operation = this.getNodeParameter('operation', 0) as string;
		// A bundle holds what all items bring, so it is made once.
		if (operation === 'bundle') return await runPerItem(this, async () => await bundle.execute(this), [0]);
		return await runPerItem(
			this,
			async (itemIndex) => await chosenOperation(this, { files }, itemIndex).execute(this, itemIndex),
		);
	}
}
