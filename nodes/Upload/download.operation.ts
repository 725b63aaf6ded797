import type { IDataObject, IExecuteFunctions, INodeExecutionData, INodeProperties } from 'n8n-workflow';

import { codeOf } from '../../lib/errors';
import { openBackup } from '../../lib/storage/backups';
import type { Unarchived, UnarchiveOptions } from '../../lib/storage/storage';
import { emitArtifact, type HandOver } from '../shared/artifacts';
import { handOverProperty } from '../shared/properties';
import { cancelSignal } from '../shared/run';
import { storageFor } from '../shared/storage';

import { chosenBackup } from './select';

const show = { operation: ['download'] };

export const description: INodeProperties[] = [
	{ ...handOverProperty, displayOptions: { show } },
	{
		displayName: 'If Archived',
		name: 'ifArchived',
		type: 'options',
		options: [
			{
				name: 'Ask for It (Bulk)',
				value: 'Bulk',
				description: 'Cheapest, takes up to 12 hours, or 48 in Deep Archive',
			},
			{
				name: 'Ask for It (Expedited)',
				value: 'Expedited',
				description: 'Minutes, at a price; not in Deep Archive',
			},
			{
				name: 'Ask for It (Standard)',
				value: 'Standard',
				description: 'Takes up to 5 hours, or 12 in Deep Archive',
			},
			{ name: 'Stop', value: 'stop', description: 'Fail, and leave it in the archive' },
		],
		default: 'Standard',
		description:
			'What to do when the backup lies in an archive class. Asked for, it becomes readable for a week, which the provider charges for; until then the item says <code>restoring: true</code>.',
		displayOptions: { show: { ...show, storage: ['aws', 's3'] } },
	},
];

/** Days for which what was asked for stays readable. */
const READABLE_DAYS = 7;

export async function execute(context: IExecuteFunctions, itemIndex: number): Promise<INodeExecutionData[]> {
	const storage = await storageFor(context, itemIndex);
	try {
		const found = await chosenBackup(context, itemIndex, storage);
		const handOver = context.getNodeParameter('handOver', itemIndex) as HandOver;
		const from = { storage: storage.description, key: found.key };
		try {
			return [await emitArtifact(context, itemIndex, openBackup(storage, found), handOver, { from })];
		} catch (error) {
			const tier = context.getNodeParameter('ifArchived', itemIndex, 'stop') as
				UnarchiveOptions['tier'] | 'stop';
			if (codeOf(error) !== 'ARCHIVED' || tier === 'stop' || !storage.unarchive) throw error;
			const signal = cancelSignal(context);
			const asked = await storage.unarchive(found.key, { days: READABLE_DAYS, tier }, signal);
			if (asked.state === 'readable') throw error;
			return [{ json: { ...restoring(context, found.key, asked), from }, pairedItem: { item: itemIndex } }];
		}
	} finally {
		await storage.close();
	}
}

/** An item that holds no backup yet, so that a workflow can wait and come back. */
function restoring(context: IExecuteFunctions, key: string, { state, withinHours }: Unarchived): IDataObject {
	const readyBy =
		withinHours === undefined ? undefined : new Date(Date.now() + withinHours * 3_600_000).toISOString();
	const when = readyBy === undefined ? '' : `, at the latest at ${readyBy}`;
	context.addExecutionHints({
		type: 'warning',
		location: 'outputPane',
		message: `${key} lies in an archive and is being restored there (${state === 'requested' ? 'asked for now' : 'asked for before'})${when}. Run this node again then`,
	});
	return { key, restoring: true, state, ...(readyBy !== undefined && { readyBy }) };
}
