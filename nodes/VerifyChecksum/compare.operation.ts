import type { IDataObject, IExecuteFunctions, INodeExecutionData, INodeProperties } from 'n8n-workflow';

import { listBackups } from '../../lib/storage/backups';
import { earlierBackups, findSuspicions, suspicionError } from '../../lib/verification/suspicious';
import { passOn, readArtifact } from '../shared/artifacts';
import { presentable } from '../shared/errors';
import { cancelSignal } from '../shared/run';
import { prefixOf, storageFor } from '../shared/storage';

import { failed, passed } from './outputs';

const show = { operation: ['compare'] };

export const description: INodeProperties[] = [
	{
		displayName: 'Earlier Backups',
		name: 'previous',
		type: 'number',
		typeOptions: { minValue: 2, maxValue: 100 },
		default: 7,
		description: 'How many of the newest backups of the same job it is compared with, by their median',
		displayOptions: { show },
	},
	{
		displayName: 'Allowed Fall (%)',
		name: 'allowedFall',
		type: 'number',
		typeOptions: { minValue: 1, maxValue: 99 },
		default: 50,
		description: 'How far the size of the content, or the rows of any table, may lie below what is usual',
		displayOptions: { show },
	},
	{
		displayName: 'If It Fell Further',
		name: 'ifSuspicious',
		type: 'options',
		options: [
			{ name: 'Fail', value: 'fail', description: 'The backup does not pass: it comes out of Failed' },
			{ name: 'Warn', value: 'warn', description: 'The backup passes, with a hint and a field that tell it' },
		],
		default: 'fail',
		description: 'What becomes of a suspicious backup',
		displayOptions: { show },
	},
	{
		displayName: 'Pass Over Tables Below (Rows)',
		name: 'minRows',
		type: 'number',
		typeOptions: { minValue: 0 },
		default: 100,
		description: 'Tables that usually have fewer rows than this are not compared',
		displayOptions: { show },
	},
];

export async function execute(
	context: IExecuteFunctions,
	itemIndex: number,
): Promise<INodeExecutionData[][]> {
	const { manifest } = await readArtifact(context, itemIndex);
	const number = (name: string) => Number(context.getNodeParameter(name, itemIndex));
	const previous = number('previous');
	const storage = await storageFor(context, itemIndex);
	try {
		const stored = listBackups(storage, {
			prefix: prefixOf(context, itemIndex),
			signal: cancelSignal(context),
		});
		const report = findSuspicions(manifest, await earlierBackups(stored, manifest, previous), {
			previous,
			maxFall: number('allowedFall') / 100,
			minRows: number('minRows'),
		});
		const error = suspicionError(manifest.fileName, report);
		if (error && context.getNodeParameter('ifSuspicious', itemIndex) === 'fail') {
			return failed(context, itemIndex, error, { ...(report as unknown as IDataObject), manifest });
		}
		if (error) {
			const message = presentable(error.message);
			context.addExecutionHints({ type: 'warning', location: 'outputPane', message });
		}
		return passed(passOn(context, itemIndex, { comparison: report as unknown as IDataObject }));
	} finally {
		await storage.close();
	}
}
