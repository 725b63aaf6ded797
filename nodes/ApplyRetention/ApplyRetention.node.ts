import {
	NodeConnectionTypes,
	type IDisplayOptions,
	type IExecuteFunctions,
	type INodeExecutionData,
	type INodeType,
	type INodeTypeDescription,
} from 'n8n-workflow';

import { itemsThatDiffer } from '../shared/expressions';
import { chosenOperation } from '../shared/parameters';
import { runPerItem } from '../shared/run';
import { storageCredentials, storageProperties } from '../shared/storage';

import * as apply from './apply.operation';
import * as list from './list.operation';
import * as options from './options';
import * as pins from './pin.operation';
import * as policy from './policy';
import * as simulation from './simulate.operation';

const operations = {
	apply: apply.execute,
	list: list.execute,
	pin: pins.pin,
	simulate: simulation.execute,
	unpin: pins.unpin,
};

/** These are about what lies in the storage, not about the items that come in: once is enough. */
const onceForAll = new Set<keyof typeof operations>(['apply', 'list', 'simulate']);

/** A simulation needs no storage. */
const unlessSimulated = <Shown extends { displayOptions?: IDisplayOptions }>(shown: Shown): Shown => ({
	...shown,
	displayOptions: { ...shown.displayOptions, hide: { operation: ['simulate'] } },
});

export class ApplyRetention implements INodeType {
	description: INodeTypeDescription = {
		displayName: 'Apply Retention',
		name: 'applyRetention',
		icon: { light: 'file:../../icons/applyRetention.svg', dark: 'file:../../icons/applyRetention.dark.svg' },
		group: ['transform'],
		version: [1],
		subtitle: `={{ $parameter["operation"] !== "apply" ? $parameter["operation"] : ($parameter["mode"] === "delete" ? "delete" : "dry run") + ", keep " + ${policy.nameExpression} }}`,
		description: 'Thin out old backups by rule, and say of each why it stays or goes',
		defaults: { name: 'Apply Retention' },
		usableAsTool: undefined,
		inputs: [NodeConnectionTypes.Main],
		outputs: [NodeConnectionTypes.Main],
		credentials: storageCredentials.map(unlessSimulated),
		hints: [
			{
				message: 'Dry run: nothing is deleted. Choose "Delete" under Mode once the result is what you want',
				type: 'info',
				location: 'outputPane',
				whenToDisplay: 'afterExecution',
				displayCondition: '={{ $parameter["operation"] === "apply" && $parameter["mode"] === "dryRun" }}',
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
					{
						name: 'List',
						value: 'list',
						action: 'List backups with their gaps and sizes',
						description: 'Tell how old they are, where some are missing and how their sizes go',
					},
					{
						name: 'Pin',
						value: 'pin',
						action: 'Pin a backup',
						description: 'Keep a backup from being deleted, whatever the rules say',
					},
					{
						name: 'Simulate',
						value: 'simulate',
						action: 'Simulate a policy',
						description: 'Tell what a policy would leave after a year, and how large it would be',
					},
					{
						name: 'Unpin',
						value: 'unpin',
						action: 'Unpin a backup',
						description: 'Let a backup be deleted again',
					},
				],
				default: 'apply',
			},
			...storageProperties.map(unlessSimulated),
			...pins.description,
			...simulation.description,
			...policy.description,
			...options.description,
		],
	};

	async execute(this: IExecuteFunctions): Promise<INodeExecutionData[][]> {
		const operation = this.getNodeParameter('operation', 0) as keyof typeof operations;
		const run = async (itemIndex: number) =>
			await chosenOperation(this, operations, itemIndex)(this, itemIndex);
		return await runPerItem(this, run, onceForAll.has(operation) ? itemsThatDiffer(this) : undefined);
	}
}
