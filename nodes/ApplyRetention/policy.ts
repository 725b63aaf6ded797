import type { IDataObject, IExecuteFunctions, INodeProperties, INodePropertyOptions } from 'n8n-workflow';

import { parsePolicy, presets, type RetentionPolicy } from '../../lib/retention/policy';

import { zoneOf } from './stored';

const policies: INodePropertyOptions[] = [
	...presets.map(({ name, value }) => ({ name, value })),
	{ name: 'Custom', value: 'custom', description: 'Choose the rules yourself' },
];

/** For the node's subtitle: what the policy keeps. */
export const nameExpression = `(${JSON.stringify(Object.fromEntries(presets.map(({ name, value }) => [value, name])))}[$parameter["policy"]] || "by rules")`;

const count = (displayName: string, name: string, what: string, least = 0): INodeProperties => ({
	displayName,
	name,
	type: 'number',
	typeOptions: { minValue: least },
	default: 0,
	description: what,
});

/** A number of periods, -1 for all of them. */
const periods = (displayName: string, name: string, period: string): INodeProperties =>
	count(
		displayName,
		name,
		`The newest backup of each of the last ${period} that have one, -1 for all of them`,
		-1,
	);

const within = (displayName: string, name: string, what: string): INodeProperties => ({
	displayName,
	name,
	type: 'string',
	default: '',
	placeholder: 'e.g. 30d or 1y6m',
	description: what,
});

const show = { operation: ['apply', 'simulate'] };

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
		displayOptions: { show: { operation: ['apply'] } },
	},
	{
		displayName: 'What no rule keeps is deleted for good. Look at the result of a dry run first.',
		name: 'deleteNotice',
		type: 'notice',
		default: '',
		displayOptions: { show: { operation: ['apply'], mode: ['delete'] } },
	},
	{
		displayName: 'Policy',
		name: 'policy',
		type: 'options',
		options: policies,
		default: 'grandfatherFatherSon',
		description: 'What to keep. Rules are added up: a backup stays if one of them wants it.',
		displayOptions: { show },
	},
	{
		displayName: 'Rules',
		name: 'rules',
		type: 'collection',
		placeholder: 'Add rule',
		default: {},
		description: 'The rules of a custom policy. Beside a policy by name they are added to it.',
		displayOptions: { show },
		options: [
			periods('Keep Daily', 'keepDaily', 'days'),
			count('Keep Days', 'keepDays', "Everything of the newest backup's day and of this many days before it"),
			periods('Keep Hourly', 'keepHourly', 'hours'),
			count('Keep Last', 'keepLast', 'The newest backups, whenever they were made'),
			count(
				'Keep Minimum',
				'keepMinimum',
				'The floor: never fewer good backups than this, whatever the other rules say',
			),
			periods('Keep Monthly', 'keepMonthly', 'months'),
			{
				displayName: 'Keep Tags',
				name: 'keepTags',
				type: 'string',
				typeOptions: { multipleValues: true, multipleValueButtonText: 'Add tag' },
				default: [],
				placeholder: 'e.g. release',
				description:
					'Everything that bears one of these tags; two with a comma between them must both be there',
			},
			periods('Keep Weekly', 'keepWeekly', 'ISO weeks'),
			within('Keep Within', 'keepWithin', 'Everything of this time before the newest backup'),
			within('Keep Within Daily', 'keepWithinDaily', 'The newest backup of each day of this time'),
			within('Keep Within Hourly', 'keepWithinHourly', 'The newest backup of each hour of this time'),
			within('Keep Within Monthly', 'keepWithinMonthly', 'The newest backup of each month of this time'),
			within('Keep Within Weekly', 'keepWithinWeekly', 'The newest backup of each ISO week of this time'),
			within('Keep Within Yearly', 'keepWithinYearly', 'The newest backup of each year of this time'),
			periods('Keep Yearly', 'keepYearly', 'years'),
			count(
				'Maximum Size (GB)',
				'maxTotalGb',
				'What the kept backups of a job may take: beyond it the oldest go, but never below Keep Minimum',
			),
		],
	},
];

/** Fields that were left at 0 or empty set no rule. */
const filled = (fields: IDataObject): IDataObject =>
	Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== 0 && value !== ''));

/** The policy that the node's fields name. @throws LifeboatError `POLICY_INVALID` or `POLICY_EMPTY`. */
export function policyOf(context: IExecuteFunctions, itemIndex: number): RetentionPolicy {
	const chosen = context.getNodeParameter('policy', itemIndex) as string;
	const preset = presets.find(({ value }) => value === chosen);
	const { maxTotalGb, keepTags, ...rules } = filled(
		context.getNodeParameter('rules', itemIndex, {}) as IDataObject,
	);
	// By expression one text may come where the list gives several.
	const tags = [keepTags ?? []]
		.flat()
		.map((tag) => String(tag as string).trim())
		.filter(Boolean);
	return parsePolicy({
		...preset?.policy,
		...rules,
		...(tags.length > 0 ? { keepTags: tags } : {}),
		...(typeof maxTotalGb === 'number' ? { maxTotalBytes: Math.round(maxTotalGb * 1e9) } : {}),
		zone: zoneOf(context, itemIndex),
	});
}
