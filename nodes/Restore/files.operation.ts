import type { IExecuteFunctions, INodeExecutionData, INodeProperties } from 'n8n-workflow';

import { extractFiles } from '../../lib/archive/extract';
import { passOn } from '../shared/artifacts';
import { fileRules, resolveAllowed } from '../shared/file-access';
import { notice } from '../shared/properties';
import { cancelSignal } from '../shared/run';

import { verifiedContent } from './content';
import { requiredText } from '../shared/parameters';

const show = { operation: ['files'] };

export const description: INodeProperties[] = [
	{
		displayName: 'Target Folder',
		name: 'targetFolder',
		type: 'string',
		required: true,
		default: '',
		placeholder: 'e.g. /data/uploads',
		description:
			'The folder to restore into, as n8n sees it; made if need be. It must lie within what N8N_RESTRICT_FILE_ACCESS_TO allows.',
		displayOptions: { show },
	},
	{
		displayName: 'If Files Exist',
		name: 'ifExists',
		type: 'options',
		options: [
			{
				name: 'Keep',
				value: 'keep',
				description: 'Leave files that are there, and add those that are missing',
			},
			{
				name: 'Replace',
				value: 'replace',
				description: 'Put the files of the backup in their place. Others stay.',
			},
			{ name: 'Stop', value: 'stop', description: 'Fail unless the folder is empty or missing' },
		],
		default: 'stop',
		description: 'What to do when the folder holds something already',
		displayOptions: { show },
	},
	notice('replaceNotice', 'Files that are there are overwritten with those of the backup.', {
		...show,
		ifExists: ['replace'],
	}),
	{
		displayName: 'Links That Lead Outside',
		name: 'outsideLinks',
		type: 'options',
		options: [
			{ name: 'Keep', value: 'keep', description: 'Create them as they are in the backup' },
			{ name: 'Leave Out', value: 'skip', description: 'Leave them out, and name them in a hint' },
			{ name: 'Stop', value: 'refuse', description: 'Fail, and leave the folder as it is' },
		],
		default: 'refuse',
		description: 'What to do about symbolic links whose targets lie outside the folder',
		displayOptions: { show },
	},
];

export async function execute(context: IExecuteFunctions, itemIndex: number): Promise<INodeExecutionData[]> {
	const target = requiredText(context, 'targetFolder', itemIndex, 'Target Folder');
	const folder = await resolveAllowed(context, target);
	const signal = cancelSignal(context);
	const started = performance.now();
	const { artifact, manifest } = await verifiedContent(context, itemIndex, 'files');
	const opened = await artifact.open(signal);
	const { skipped, ...report } = await extractFiles(opened.stream, folder, {
		ifExists: context.getNodeParameter('ifExists', itemIndex) as 'stop' | 'replace' | 'keep',
		outsideLinks: context.getNodeParameter('outsideLinks', itemIndex) as 'keep' | 'skip' | 'refuse',
		assertAllowed: fileRules(context),
		signal,
	});
	if (skipped.length > 0) {
		context.addExecutionHints({
			type: 'warning',
			location: 'outputPane',
			message: `Left as they were or left out: ${skipped
				.slice(0, 5)
				.map(({ path, reason }) => `${path} (${reason})`)
				.join(', ')}${skipped.length > 5 ? ` and ${skipped.length - 5} more` : ''}`,
		});
	}
	const seconds = Math.round(performance.now() - started) / 1000;
	const restored = {
		kind: 'files',
		name: manifest.name,
		dataOf: manifest.createdAt,
		folder,
		...report,
		skipped: skipped.length,
		seconds,
	};
	// The backup itself passes on, so that another Restore can take its database, say.
	return [passOn(context, itemIndex, { restored })];
}
