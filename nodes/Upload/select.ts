import type { IExecuteFunctions, INodeProperties } from 'n8n-workflow';

import type { Manifest } from '../../lib/artifact/manifest';
import { LifeboatError } from '../../lib/errors';
import { backupById, newestBackup, readBackup } from '../../lib/storage/backups';
import type { Storage } from '../../lib/storage/storage';
import { requiredChoice, requiredText, textParameter, timeParameter } from '../shared/parameters';
import { cancelSignal } from '../shared/run';
import { prefixOf } from '../shared/storage';
import { storedBackupProperty } from '../shared/stored-backup-list';

const byId = {
	name: 'By ID',
	value: 'id',
	description: 'The one with this ID in its manifest, wherever it lies under the prefix',
};
const byKey = {
	name: 'From List or By Key',
	value: 'key',
	description: 'Chosen from the list of what lies there, or by its key',
};
const newestOne = { name: 'Newest', value: 'newest', description: 'The newest whole one of a job' };

/** The fields that choose one backup. What deletes must be told which: there, the newest isn't offered. */
export function selectProperties(operations: string[], { newest }: { newest: boolean }): INodeProperties[] {
	const show = { operation: operations };
	// What deletes has its own field, so that a switch of the operation doesn't leave "newest" in it.
	const select = newest ? 'select' : 'selectOne';
	const common = { displayName: 'Backup', type: 'options' as const, displayOptions: { show } };
	return [
		newest
			? {
					...{ ...common, name: 'select', options: [byId, byKey, newestOne], default: 'newest' },
					description: 'Which backup to take',
				}
			: {
					...{ ...common, name: 'selectOne', options: [byId, byKey], default: 'key' },
					description: 'Which backup to delete',
				},
		{
			displayName: 'Backup ID',
			name: 'backupId',
			type: 'string',
			required: true,
			default: '',
			placeholder: 'e.g. 0b1c8f0e-5a4a-4a7e-9d51-9a4c2b8f6c11',
			description: 'The ID in its manifest, as the operation List tells it',
			displayOptions: { show: { ...show, [select]: ['id'] } },
		},
		storedBackupProperty(
			{ ...show, [select]: ['key'] },
			'The whole key of the backup, as the operation List tells it',
		),
		...(newest
			? [
					{
						displayName: 'Backup Name',
						name: 'backupName',
						type: 'string' as const,
						default: '',
						placeholder: 'e.g. shop',
						description: 'Only backups of this job. It may stay empty where there are those of one job only.',
						displayOptions: { show: { ...show, select: ['newest'] } },
					},
					{
						displayName: 'Kind',
						name: 'backupKind',
						type: 'options' as const,
						options: [
							{ name: 'Any', value: 'any', description: 'If there is only one kind of that name' },
							{ name: 'Bundle', value: 'bundle', description: 'Databases and files in one' },
							{ name: 'Database', value: 'database', description: 'A dump' },
							{ name: 'Files', value: 'files', description: 'An archive of files' },
						],
						default: 'any',
						description: 'What the backup holds',
						displayOptions: { show: { ...show, select: ['newest'] } },
					},
					{
						displayName: 'Made Before',
						name: 'madeBefore',
						type: 'dateTime' as const,
						default: '',
						description:
							'The newest of those made before this time, such as that of a mistake. Empty stands for now.',
						displayOptions: { show: { ...show, select: ['newest'] } },
					},
				]
			: []),
	];
}

/** The key that the fields choose, where only one may be chosen. @throws LifeboatError `NOT_FOUND`, `AMBIGUOUS`. */
export async function chosenKey(
	context: IExecuteFunctions,
	itemIndex: number,
	storage: Storage,
	select: 'select' | 'selectOne',
): Promise<string> {
	if (context.getNodeParameter(select, itemIndex) === 'key')
		return requiredChoice(context, 'key', itemIndex, 'Stored Backup');
	const id = requiredText(context, 'backupId', itemIndex, 'Backup ID');
	const prefix = prefixOf(context, itemIndex);
	return (await backupById(storage, id, { prefix, signal: cancelSignal(context) })).key;
}

export type FoundBackup = { key: string; manifest: Manifest };

/** The backup that the fields choose. @throws LifeboatError `NOT_FOUND`, `AMBIGUOUS`. */
export async function chosenBackup(
	context: IExecuteFunctions,
	itemIndex: number,
	storage: Storage,
): Promise<FoundBackup> {
	if (context.getNodeParameter('select', itemIndex) === 'newest') return newest(context, itemIndex, storage);
	const key = await chosenKey(context, itemIndex, storage, 'select');
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

/** Tells of what was passed over, too: somebody may expect just that one. */
async function newest(context: IExecuteFunctions, itemIndex: number, storage: Storage): Promise<FoundBackup> {
	const name = textParameter(context, 'backupName', itemIndex);
	const kind = context.getNodeParameter('backupKind', itemIndex, 'any') as Manifest['kind'] | 'any';
	const madeBefore = timeParameter(context, 'madeBefore', itemIndex, 'Made Before');
	const { passedOver, ...found } = await newestBackup(storage, {
		prefix: prefixOf(context, itemIndex),
		signal: cancelSignal(context),
		...(name !== '' && { name }),
		...(kind !== 'any' && { kind }),
		...(madeBefore !== undefined && { before: new Date(madeBefore) }),
	});
	if (passedOver !== undefined) {
		context.addExecutionHints({ type: 'warning', location: 'outputPane', message: passedOver });
	}
	return found;
}
