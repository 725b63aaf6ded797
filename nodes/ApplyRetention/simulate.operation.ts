import type { IDataObject, IExecuteFunctions, INodeExecutionData, INodeProperties } from 'n8n-workflow';

import { calendarSvg } from '../../lib/retention/calendar/calendar-svg';
import { simulate } from '../../lib/retention/simulate';
import { requiredText } from '../shared/parameters';
import { cancelSignal } from '../shared/run';

import { attachCalendar } from './calendar';
import { wantsCalendar } from './options';
import { policyOf } from './policy';
import { hint } from './stored';

const show = { operation: ['simulate'] };

export const description: INodeProperties[] = [
	{
		displayName: 'One Backup Every',
		name: 'every',
		type: 'string',
		required: true,
		default: '1d',
		placeholder: 'e.g. 6h',
		description: 'How often a backup is made: years, months, days and hours, such as 1d or 6h',
		displayOptions: { show },
	},
	{
		displayName: 'For',
		name: 'duration',
		type: 'string',
		required: true,
		default: '1y',
		placeholder: 'e.g. 1y6m',
		description: 'How long it goes on',
		displayOptions: { show },
	},
	{
		displayName: 'Size of a Backup (GB)',
		name: 'sizeGb',
		type: 'number',
		typeOptions: { minValue: 0 },
		default: 1,
		description: 'How large the first backup is',
		displayOptions: { show },
	},
	{
		displayName: 'Growth per Month (%)',
		name: 'growth',
		type: 'number',
		typeOptions: { minValue: -100 },
		default: 0,
		description: 'How much larger backups are after 30 days',
		displayOptions: { show },
	},
];

/** What a policy leaves, from now on, in one item. Nothing is read or deleted. */
export async function execute(context: IExecuteFunctions, itemIndex: number): Promise<INodeExecutionData[]> {
	const policy = policyOf(context, itemIndex);
	const start = new Date();
	const options = {
		start,
		every: requiredText(context, 'every', itemIndex, 'One Backup Every'),
		duration: requiredText(context, 'duration', itemIndex, 'For'),
		size: (context.getNodeParameter('sizeGb', itemIndex) as number) * 1e9,
		growthPerMonth: context.getNodeParameter('growth', itemIndex) as number,
	};
	const { group, end, peak, months, rules, text } = await simulate(policy, options, cancelSignal(context));
	hint(context, text, 'info');
	const json: IDataObject = {
		text,
		...{ backups: end.backups, bytes: end.bytes, at: end.at },
		...{ peakBytes: peak.bytes, peakBackups: peak.backups, peakAt: peak.at },
		rules,
		months: months as unknown as IDataObject[],
	};
	const items: INodeExecutionData[] = [{ json, pairedItem: { item: itemIndex } }];
	if (wantsCalendar(context, itemIndex)) {
		const title = `What a policy leaves of one backup every ${options.every}`;
		const calendar = { title, zone: policy.zone, now: new Date(end.at) };
		await attachCalendar(context, items, calendarSvg([group], calendar));
	}
	return items;
}
