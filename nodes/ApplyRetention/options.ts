import type { IExecuteFunctions, INodeProperties } from 'n8n-workflow';

import { USUAL_GROUPS, type GroupBy } from '../../lib/retention/groups';
import type { PlanOptions } from '../../lib/retention/plan';
import { optionsCollection } from '../shared/properties';

/** More than this in one run is rather a mistake than a routine, until somebody says otherwise. */
const MOST_DELETIONS = 100;

const show = (...operations: string[]) => ({ show: { '/operation': operations } });

/** What the operations Apply and List have in common, and the node's options. */
export const description: INodeProperties[] = [
	{
		displayName: 'Return',
		name: 'return',
		type: 'options',
		options: [
			{ name: 'Backups', value: 'backups', description: 'One item a backup' },
			{ name: 'Jobs', value: 'jobs', description: 'One item a job, with totals' },
		],
		default: 'backups',
		description: 'What the items are about',
		displayOptions: { show: { operation: ['apply', 'list'] } },
	},
	optionsCollection(
		[
			{
				displayName: 'Calendar',
				name: 'calendar',
				type: 'boolean',
				default: true,
				description:
					'Whether to add a picture to the first item, in the binary field calendar: a square a day, and what stays and goes',
				displayOptions: show('apply', 'simulate'),
			},
			{
				displayName: 'Check Clocks',
				name: 'checkClocks',
				type: 'boolean',
				default: true,
				description:
					'Whether to guard against clocks that went wrong: a backup that is dated after the storage received it is kept and not counted, and not all backups from before a break are deleted before there are three since',
				displayOptions: show('apply'),
			},
			{
				displayName: 'Expect a Backup Every',
				name: 'expectedEvery',
				type: 'string',
				default: '',
				placeholder: 'e.g. 26h',
				description:
					'The longest time between two backups. Apply deletes nothing of a job whose newest backup is older, since then backups have stopped. List tells of longer gaps.',
				displayOptions: show('apply', 'list'),
			},
			{
				displayName: 'Group By',
				name: 'groupBy',
				type: 'multiOptions',
				options: [
					{ name: 'Folder', value: 'folder' },
					{ name: 'Job', value: 'name' },
					{ name: 'Kind', value: 'kind' },
				],
				default: ['name', 'kind'],
				description:
					'Backups of one group are thinned out together. Without any, all backups under the prefix are one group. Choose Folder, too, where jobs of the same name lie in several folders, but not where each day has its own.',
				displayOptions: show('apply', 'list'),
			},
			{
				displayName: 'Maximum Deletions',
				name: 'maxDeletions',
				type: 'number',
				typeOptions: { minValue: 1 },
				default: MOST_DELETIONS,
				description:
					'Delete nothing when a run would delete more than this. Without this option the limit is 100.',
				displayOptions: show('apply'),
			},
			{
				displayName: 'Maximum Deletions (%)',
				name: 'maxDeletePercent',
				type: 'number',
				typeOptions: { minValue: 1, maxValue: 100 },
				default: 50,
				description: 'Delete nothing of a job when a run would delete more than this share of its backups',
				displayOptions: show('apply'),
			},
			{
				displayName: 'Only Proven Backups Count',
				name: 'countOnlyProven',
				type: 'boolean',
				default: false,
				description:
					'Whether only backups that passed a restore test count towards what is kept. The others follow the same rules, but never take the place of a proven one.',
				displayOptions: show('apply'),
			},
			{
				displayName: 'Time Zone',
				name: 'zone',
				type: 'string',
				default: '',
				placeholder: 'e.g. Europe/Berlin',
				description: "Where days, weeks and months begin. Empty stands for the workflow's time zone.",
			},
			{
				displayName: 'Versions',
				name: 'versions',
				type: 'options',
				options: [
					{
						name: 'Delete All Versions',
						value: 'all',
						description: 'Nothing of a deleted backup is left',
					},
					{
						name: 'Leave a Delete Marker',
						value: 'current',
						description: 'The bucket keeps the versions until its own rules remove them',
					},
				],
				default: 'current',
				description: 'What a deletion does in a bucket that keeps versions',
				displayOptions: show('apply'),
			},
		],
		{ show: { operation: ['apply', 'list', 'simulate'] } },
	),
];

interface Options {
	versions?: 'current' | 'all';
	calendar?: boolean;
	checkClocks?: boolean;
	countOnlyProven?: boolean;
	expectedEvery?: string;
	groupBy?: GroupBy[];
	maxDeletions?: number;
	maxDeletePercent?: number;
}

const optionsOf = (context: IExecuteFunctions, itemIndex: number) =>
	context.getNodeParameter('options', itemIndex, {}) as Options;

export const expectedEveryOf = (context: IExecuteFunctions, itemIndex: number): string | undefined =>
	optionsOf(context, itemIndex).expectedEvery?.trim() || undefined;

export const groupByOf = (context: IExecuteFunctions, itemIndex: number): readonly GroupBy[] =>
	optionsOf(context, itemIndex).groupBy ?? USUAL_GROUPS;

export const versionsOf = (context: IExecuteFunctions, itemIndex: number): 'current' | 'all' =>
	optionsOf(context, itemIndex).versions ?? 'current';

/** In a dry run people look at it; a run that nobody watches makes it only when it is asked for. */
export function wantsCalendar(context: IExecuteFunctions, itemIndex: number): boolean {
	const byDefault = context.getNodeParameter('mode', itemIndex, 'dryRun') !== 'delete';
	return optionsOf(context, itemIndex).calendar ?? byDefault;
}

/** Whether the items are to be about jobs, not about single backups. */
export const returnsJobs = (context: IExecuteFunctions, itemIndex: number): boolean =>
	context.getNodeParameter('return', itemIndex, 'backups') === 'jobs';

/** The guards that the node's options name. */
export function planOptionsOf(context: IExecuteFunctions, itemIndex: number): Omit<PlanOptions, 'now'> {
	const {
		checkClocks = true,
		maxDeletions,
		maxDeletePercent,
		countOnlyProven,
	} = optionsOf(context, itemIndex);
	const expectedEvery = expectedEveryOf(context, itemIndex);
	return {
		groupBy: groupByOf(context, itemIndex),
		checkClocks,
		...(expectedEvery ? { expectedEvery } : {}),
		...(countOnlyProven ? { countOnlyProven } : {}),
		maxDeletions: maxDeletions ?? MOST_DELETIONS,
		...(maxDeletePercent ? { maxDeletePercent } : {}),
	};
}
