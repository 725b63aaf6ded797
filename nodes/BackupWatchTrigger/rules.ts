import type { IExecuteFunctions, INodeProperties } from 'n8n-workflow';

import type { WatchRules } from '../../lib/watch/types';
import { assertRules } from '../../lib/watch/watch';
import { textParameter } from '../shared/parameters';

const percent = (displayName: string, name: string, preset: number, what: string): INodeProperties => ({
	displayName,
	name,
	type: 'number',
	typeOptions: { minValue: 1 },
	default: preset,
	description: what,
});

export const ruleProperties: INodeProperties[] = [
	{
		displayName: 'Jobs',
		name: 'jobs',
		type: 'string',
		typeOptions: { multipleValues: true, multipleValueButtonText: 'Add job' },
		default: [],
		placeholder: 'e.g. shop',
		description:
			'Names of the backup jobs, each of which must have backups. Without any, every job that is found is watched from then on.',
	},
	{
		displayName: 'Oldest Allowed',
		name: 'maxAge',
		type: 'string',
		default: '26h',
		placeholder: 'e.g. 26h or 8d',
		description:
			'How old the newest good backup of a job may be. Give it an hour or two more than lies between two. Empty stands for any age.',
	},
	{
		displayName: 'Rules',
		name: 'rules',
		type: 'collection',
		placeholder: 'Add rule',
		default: {},
		options: [
			percent(
				'Free Space at Least (%)',
				'minFreePercent',
				10,
				'How much of the destination must be free, where it tells (or of the quota)',
			),
			{
				displayName: 'Free Space at Least (GB)',
				name: 'minFreeGb',
				type: 'number',
				typeOptions: { minValue: 0 },
				default: 10,
				description: 'How much must be free, where the destination tells (or of the quota)',
			},
			{
				displayName: 'Grace Time',
				name: 'grace',
				type: 'string',
				default: '2h',
				placeholder: 'e.g. 2h',
				description:
					'How long after the time under Scheduled At a backup may be there. 2 hours unless given.',
			},
			percent('Growth at Most (%)', 'maxGrowthPercent', 100, 'How much larger a backup may be than is usual'),
			{
				displayName: 'Quota (GB)',
				name: 'quotaGb',
				type: 'number',
				typeOptions: { minValue: 0 },
				default: 100,
				description:
					'What the backups under the prefix may take in all, where the destination does not tell how much is free',
			},
			{
				displayName: 'Restore Test Every',
				name: 'testEvery',
				type: 'string',
				default: '7d',
				placeholder: 'e.g. 7d',
				description: 'How old the last restore test of a job may be. A test that failed is told of, too.',
			},
			{
				displayName: 'Scheduled At',
				name: 'times',
				type: 'string',
				typeOptions: { multipleValues: true, multipleValueButtonText: 'Add time' },
				default: [],
				placeholder: 'e.g. 02:00',
				description: 'Times of the day at which a backup is made. One that is not there is told of.',
			},
			{
				displayName: 'Scheduled On',
				name: 'weekdays',
				type: 'multiOptions',
				options: [
					{ name: 'Friday', value: 5 },
					{ name: 'Monday', value: 1 },
					{ name: 'Saturday', value: 6 },
					{ name: 'Sunday', value: 7 },
					{ name: 'Thursday', value: 4 },
					{ name: 'Tuesday', value: 2 },
					{ name: 'Wednesday', value: 3 },
				],
				default: [1, 2, 3, 4, 5, 6, 7],
				description: 'Days of the week on which it is made. Every day unless given.',
			},
			percent(
				'Shrinkage at Most (%)',
				'maxShrinkPercent',
				50,
				'How much smaller a backup may be than is usual: the median of the ten before it',
			),
			{
				displayName: 'Time Zone',
				name: 'zone',
				type: 'string',
				default: '',
				placeholder: 'e.g. Europe/Berlin',
				description: "The zone of the schedule's times. Empty stands for the workflow's time zone.",
			},
		],
	},
];

interface Fields {
	minFreePercent?: number;
	minFreeGb?: number;
	maxGrowthPercent?: number;
	quotaGb?: number;
	testEvery?: string;
	times?: string[];
	grace?: string;
	weekdays?: number[];
	maxShrinkPercent?: number;
	zone?: string;
}

const GIGABYTE = 1e9;

/** What the node's fields say is to be watched. @throws LifeboatError `INVALID_DURATION` or `INVALID_SCHEDULE`. */
export function rulesOf(context: IExecuteFunctions): WatchRules {
	const fields = context.getNodeParameter('rules', 0, {}) as Fields;
	const { minFreePercent, minFreeGb, maxGrowthPercent, quotaGb, maxShrinkPercent, weekdays } = fields;
	const jobs = (context.getNodeParameter('jobs', 0, []) as string[])
		.map((name) => name.trim())
		.filter((name) => name !== '');
	const times = (fields.times ?? []).map((time) => time.trim()).filter((time) => time !== '');
	const [maxAge, testEvery] = [textParameter(context, 'maxAge', 0), fields.testEvery?.trim()];
	const rules: WatchRules = {
		zone: fields.zone?.trim() || context.getTimezone(),
		...(jobs.length > 0 && { jobs }),
		...(maxAge && { maxAge }),
		...(testEvery && { testEvery }),
		...(times.length > 0 && {
			schedule: { times, grace: fields.grace?.trim() || '2h', ...(weekdays && { weekdays }) },
		}),
		...(maxGrowthPercent && { maxGrowthPercent }),
		...(maxShrinkPercent && { maxShrinkPercent }),
		...(minFreePercent && { minFreePercent }),
		...(minFreeGb && { minFreeBytes: Math.round(minFreeGb * GIGABYTE) }),
		...(quotaGb && { quotaBytes: Math.round(quotaGb * GIGABYTE) }),
	};
	assertRules(rules);
	return rules;
}
