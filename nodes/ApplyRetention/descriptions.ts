import type { IDataObject, IExecuteFunctions, INodeProperties, INodePropertyOptions } from 'n8n-workflow';

import type { PlanOptions } from '../../lib/retention/plan';
import { parsePolicy, presets, type RetentionPolicy } from '../../lib/retention/policy';

const custom = { policy: ['custom'] };

const policies: INodePropertyOptions[] = [
	...presets.map(({ name, value }) => ({ name, value })),
	{ name: 'Custom', value: 'custom', description: 'Choose the rules yourself' },
];

const count = (displayName: string, name: string, what: string): INodeProperties => ({
	displayName,
	name,
	type: 'number',
	typeOptions: { minValue: 0 },
	default: 0,
	description: what,
});

const within = (displayName: string, name: string, what: string): INodeProperties => ({
	displayName,
	name,
	type: 'string',
	default: '',
	placeholder: 'e.g. 30d or 1y6m',
	description: what,
});

export const description: INodeProperties[] = [
	{
		displayName: 'Mode',
		name: 'mode',
		type: 'options',
		noDataExpression: true,
		options: [
			{ name: 'Dry Run', value: 'dryRun', description: 'Only tell what would be deleted, and why' },
			{ name: 'Delete', value: 'delete', description: 'Delete what no rule keeps' },
		],
		default: 'dryRun',
		description: 'Whether to delete, or only to tell',
	},
	{
		displayName: 'Policy',
		name: 'policy',
		type: 'options',
		options: policies,
		default: 'grandfatherFatherSon',
		description: 'What to keep. Rules are added up: a backup stays if one of them wants it.',
	},
	{
		displayName: 'Rules',
		name: 'rules',
		type: 'collection',
		placeholder: 'Add rule',
		default: {},
		displayOptions: { show: custom },
		options: [
			count('Keep Daily', 'keepDaily', 'The newest backup of each of the last days that have one'),
			count('Keep Days', 'keepDays', "Everything of the newest backup's day and of this many days before it"),
			count('Keep Hourly', 'keepHourly', 'The newest backup of each of the last hours that have one'),
			count('Keep Last', 'keepLast', 'The newest backups, whenever they were made'),
			count(
				'Keep Minimum',
				'keepMinimum',
				'The floor: never fewer good backups than this, whatever the other rules say',
			),
			count('Keep Monthly', 'keepMonthly', 'The newest backup of each of the last months that have one'),
			count('Keep Weekly', 'keepWeekly', 'The newest backup of each of the last ISO weeks that have one'),
			within('Keep Within', 'keepWithin', 'Everything of this time before the newest backup'),
			within('Keep Within Daily', 'keepWithinDaily', 'The newest backup of each day of this time'),
			within('Keep Within Hourly', 'keepWithinHourly', 'The newest backup of each hour of this time'),
			within('Keep Within Monthly', 'keepWithinMonthly', 'The newest backup of each month of this time'),
			within('Keep Within Weekly', 'keepWithinWeekly', 'The newest backup of each ISO week of this time'),
			within('Keep Within Yearly', 'keepWithinYearly', 'The newest backup of each year of this time'),
			count('Keep Yearly', 'keepYearly', 'The newest backup of each of the last years that have one'),
			count(
				'Maximum Size (GB)',
				'maxTotalGb',
				'What the kept backups of a job may take: beyond it the oldest go, but never below Keep Minimum',
			),
		],
	},
	{
		displayName: 'Options',
		name: 'options',
		type: 'collection',
		placeholder: 'Add option',
		default: {},
		options: [
			{
				displayName: 'Expect a Backup Every',
				name: 'expectedEvery',
				type: 'string',
				default: '',
				placeholder: 'e.g. 26h',
				description:
					'Delete nothing when the newest backup is older than this, since then backups have stopped',
			},
			{
				displayName: 'Maximum Deletions',
				name: 'maxDeletions',
				type: 'number',
				typeOptions: { minValue: 1 },
				default: 100,
				description: 'Delete nothing when a run would delete more than this',
			},
			{
				displayName: 'Maximum Deletions (%)',
				name: 'maxDeletePercent',
				type: 'number',
				typeOptions: { minValue: 1, maxValue: 100 },
				default: 50,
				description: 'Delete nothing of a job when a run would delete more than this share of its backups',
			},
			{
				displayName: 'Time Zone',
				name: 'zone',
				type: 'string',
				default: '',
				placeholder: 'e.g. Europe/Berlin',
				description: "Where days, weeks and months begin. Empty stands for the workflow's time zone.",
			},
		],
	},
];

interface Options extends IDataObject {
	expectedEvery?: string;
	maxDeletions?: number;
	maxDeletePercent?: number;
	zone?: string;
}

const optionsOf = (context: IExecuteFunctions, itemIndex: number) =>
	context.getNodeParameter('options', itemIndex, {}) as Options;

/** Fields that were left at 0 or empty set no rule. */
const filled = (fields: IDataObject): IDataObject =>
	Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== 0 && value !== ''));

/** The policy that the node's fields name. @throws LifeboatError `POLICY_INVALID` or `POLICY_EMPTY`. */
export function policyOf(context: IExecuteFunctions, itemIndex: number): RetentionPolicy {
	const chosen = context.getNodeParameter('policy', itemIndex) as string;
	const zone = optionsOf(context, itemIndex).zone?.trim() || context.getTimezone();
	const preset = presets.find(({ value }) => value === chosen);
	if (preset) return parsePolicy({ ...preset.policy, zone });
	const { maxTotalGb, ...rules } = filled(context.getNodeParameter('rules', itemIndex, {}) as IDataObject);
	const maxTotalBytes = typeof maxTotalGb === 'number' ? Math.round(maxTotalGb * 1e9) : undefined;
	return parsePolicy({ ...rules, ...(maxTotalBytes ? { maxTotalBytes } : {}), zone });
}

/** The guards that the node's options name. */
export function planOptionsOf(context: IExecuteFunctions, itemIndex: number): Omit<PlanOptions, 'now'> {
	const { expectedEvery, maxDeletions, maxDeletePercent } = optionsOf(context, itemIndex);
	return {
		...(expectedEvery?.trim() ? { expectedEvery: expectedEvery.trim() } : {}),
		...(maxDeletions ? { maxDeletions } : {}),
		...(maxDeletePercent ? { maxDeletePercent } : {}),
	};
}
