import type { IExecuteFunctions, INodeExecutionData, INodeProperties } from 'n8n-workflow';

import type { Manifest } from '../../lib/artifact/manifest';
import { LifeboatError } from '../../lib/errors';
import { listBackups, openBackup, readBackup } from '../../lib/storage/backups';
import type { Storage } from '../../lib/storage/storage';
import { emitArtifact, type HandOver } from '../shared/artifacts';
import { handOverProperty } from '../shared/properties';
import { cancelSignal } from '../shared/run';
import { prefixOf, storageFor } from '../shared/storage';
import { requiredText, textParameter } from '../shared/parameters';

const show = { operation: ['download'] };

export const description: INodeProperties[] = [
	{
		displayName: 'Backup',
		name: 'select',
		type: 'options',
		options: [
			{ name: 'By Key', value: 'key', description: 'A certain one' },
			{ name: 'Newest', value: 'newest', description: 'The newest whole one under the prefix' },
		],
		default: 'newest',
		description: 'Which backup to get',
		displayOptions: { show },
	},
	{
		displayName: 'Key',
		name: 'key',
		type: 'string',
		required: true,
		default: '',
		placeholder: 'e.g. shop/shop-20261121T020000Z.sql.zst.age',
		description: 'The whole key of the backup, as the operation List tells it',
		displayOptions: { show: { ...show, select: ['key'] } },
	},
	{
		displayName: 'Backup Name',
		name: 'backupName',
		type: 'string',
		default: '',
		placeholder: 'e.g. shop',
		description: 'Only backups of this job. Empty stands for all.',
		displayOptions: { show: { ...show, select: ['newest'] } },
	},
	{ ...handOverProperty, displayOptions: { show } },
];

export async function execute(context: IExecuteFunctions, itemIndex: number): Promise<INodeExecutionData[]> {
	const storage = await storageFor(context, itemIndex);
	try {
		const found =
			context.getNodeParameter('select', itemIndex) === 'key'
				? await byKey(context, itemIndex, storage)
				: await newest(context, itemIndex, storage);
		const handOver = context.getNodeParameter('handOver', itemIndex) as HandOver;
		const from = { storage: storage.description, key: found.key };
		return [await emitArtifact(context, itemIndex, openBackup(storage, found), handOver, { from })];
	} finally {
		await storage.close();
	}
}

type Found = { key: string; manifest: Manifest };

async function byKey(context: IExecuteFunctions, itemIndex: number, storage: Storage): Promise<Found> {
	const key = requiredText(context, 'key', itemIndex, 'Key');
	const { manifest, problem } = await readBackup(storage, key, cancelSignal(context));
	if (manifest) return { key, manifest };
	throw new LifeboatError(
		'NOT_FOUND',
		`The backup ${key} in ${storage.description} can't be used: ${problem ?? 'its manifest is missing'}`,
		{
			hint: 'Choose another one: the operation List tells which there are',
		},
	);
}

/** By the time in the manifests: names and times of files prove nothing. */
async function newest(context: IExecuteFunctions, itemIndex: number, storage: Storage): Promise<Found> {
	const name = textParameter(context, 'backupName', itemIndex);
	const prefix = prefixOf(context, itemIndex);
	let best: Found | undefined;
	const problems: string[] = [];
	for await (const { key, manifest, problem } of listBackups(storage, {
		prefix,
		signal: cancelSignal(context),
	})) {
		if (name !== '' && manifest && manifest.name !== name) continue;
		if (!manifest || problem !== undefined) problems.push(`${key} (${problem ?? 'no manifest'})`);
		else if (!best || manifest.createdAt > best.manifest.createdAt) best = { key, manifest };
	}
	if (problems.length > 0) {
		context.addExecutionHints({
			type: 'warning',
			location: 'outputPane',
			message: `Passed over because of problems: ${problems.slice(0, 10).join(', ')}${problems.length > 10 ? ` and ${problems.length - 10} more` : ''}`,
		});
	}
	if (best) return best;
	const whose = name === '' ? 'no backup' : `no backup named "${name}"`;
	throw new LifeboatError('NOT_FOUND', `There is ${whose} under "${prefix}" in ${storage.description}`, {
		hint:
			problems.length > 0
				? `Passed over because of problems: ${problems.slice(0, 3).join(', ')}`
				: 'Check the prefix and the name. The operation List tells which backups there are',
	});
}
