import {
	NodeConnectionTypes,
	type IExecuteFunctions,
	type INodeExecutionData,
	type INodeType,
	type INodeTypeDescription,
} from 'n8n-workflow';

import { runPerItem } from '../shared/run';
import { storageCredentials, storageProperties } from '../shared/storage';

import * as apply from './apply.operation';

export class ApplyRetention implements INodeType {
	description: INodeTypeDescription = {
		displayName: 'Apply Retention',
		name: 'applyRetention',
		icon: { light: 'file:../../icons/applyRetention.svg', dark: 'file:../../icons/applyRetention.dark.svg' },
		group: ['transform'],
		version: [1],
		subtitle: '={{ $parameter["mode"] === "delete" ? "delete" : "dry run" }}: {{ $parameter["policy"] }}',
		description: 'Thin out old backups by rule, and say of each why it stays or goes',
		defaults: { name: 'Apply Retention' },
		usableAsTool: undefined,
		inputs: [NodeConnectionTypes.Main],
		outputs: [NodeConnectionTypes.Main],
		credentials: storageCredentials,
		hints: [
			{
				message: 'Dry run: nothing is deleted. Choose "Delete" under Mode once the result is what you want',
				type: 'info',
				location: 'outputPane',
				whenToDisplay: 'afterExecution',
				displayCondition: '={{ $parameter["mode"] === "dryRun" }}',
			},
		],
		properties: [
			{
				displayName: 'Operation',
				name: 'operation',
				type: 'options',
				noDataExpression: true,
				options: [
					{
						name: 'Apply',
						value: 'apply',
						action: 'Apply retention',
						description: 'Decide which backups stay, and delete the others',
					},
				],
				default: 'apply',
			},
			...storageProperties,
			...apply.description,
		],
	};

	async execute(this: IExecuteFunctions): Promise<INodeExecutionData[][]> {
		// It is about what lies in the storage, not about the items that come in: once is enough.
		return await runPerItem(this, async (itemIndex) => await apply.execute(this, itemIndex), [0]);
	}
}
