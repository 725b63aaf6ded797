import type { IDataObject, IExecuteFunctions, INodeExecutionData, INodeProperties } from 'n8n-workflow';

import { LifeboatError } from '../../lib/errors';
import { listBackups } from '../../lib/storage/backups';
import type { Storage } from '../../lib/storage/storage';
import { verifyInStorage, type StoredCheck } from '../../lib/verification/kept-checksum';
import { isVerdict } from '../../lib/verification/outcome';
import { presentable } from '../shared/errors';
import { requiredChoice } from '../shared/parameters';
import { cancelSignal } from '../shared/run';
import { prefixOf, storageFor } from '../shared/storage';
import { storedBackupProperty } from '../shared/stored-backup-list';

import { FAILED, isFailedConnected, PASSED } from './outputs';

const show = { operation: ['inStorage'] };

export const description: INodeProperties[] = [
	{
		displayName: 'Backups',
		name: 'inStorageSelect',
		type: 'options',
		options: [
			{ name: 'All Under the Prefix', value: 'all', description: 'One item for each' },
			{
				name: 'From List or By Key',
				value: 'key',
				description: 'Chosen from the list of what lies there, or by its key',
			},
		],
		default: 'all',
		description: 'Which backups to verify',
		displayOptions: { show },
	},
	storedBackupProperty(
		{ ...show, inStorageSelect: ['key'] },
		'The whole key of the backup, as the operation List of Upload tells it',
	),
	{
		displayName: 'How',
		name: 'inStorageHow',
		type: 'options',
		options: [
			{
				name: 'Native Checksum Only',
				value: 'kept',
				description: 'Read nothing: what can not be compared without it leaves through Failed',
			},
			{
				name: 'Native Checksum, Else Read',
				value: 'kept-or-read',
				description: 'Read only what the storage keeps no checksum of that could be compared',
			},
			{
				name: 'Read',
				value: 'read',
				description: 'Read all bytes and compare their SHA-256: the only proof that they can still be read',
			},
		],
		default: 'kept-or-read',
		description:
			'Whether the checksum suffices that the storage keeps (S3, Azure), which costs no download. It tells that nobody has written the backup again since it was proven.',
		displayOptions: { show },
	},
];

/** Verifies backups where they lie. Nothing is staged. */
export async function execute(
	context: IExecuteFunctions,
	itemIndex: number,
): Promise<INodeExecutionData[][]> {
	const how = context.getNodeParameter('inStorageHow', itemIndex) as StoredCheck;
	const outputs: INodeExecutionData[][] = [[], []];
	const storage = await storageFor(context, itemIndex);
	try {
		for await (const key of chosenKeys(context, itemIndex, storage)) {
			const place = { storage: storage.description, key };
			const pairedItem = { item: itemIndex };
			try {
				const { manifest, report } = await verifyInStorage(storage, key, how, cancelSignal(context));
				const { id, name, fileName, createdAt } = manifest;
				const verification = report as unknown as IDataObject;
				outputs[PASSED]!.push({
					json: { key, id, name, fileName, createdAt, verification, from: place },
					pairedItem,
				});
			} catch (error) {
				if (!isAboutBackup(error) || !isFailedConnected(context)) throw error;
				const details = error.hint === undefined ? {} : { details: presentable(error.hint) };
				outputs[FAILED]!.push({
					json: {
						error: presentable(error.message),
						...details,
						code: error.code,
						level: 'stored',
						backup: place,
					},
					pairedItem,
				});
			}
		}
		return outputs;
	} finally {
		await storage.close();
	}
}

async function* chosenKeys(
	context: IExecuteFunctions,
	itemIndex: number,
	storage: Storage,
): AsyncGenerator<string> {
	if (context.getNodeParameter('inStorageSelect', itemIndex) === 'key') {
		yield requiredChoice(context, 'key', itemIndex, 'Stored Backup');
		return;
	}
	const prefix = prefixOf(context, itemIndex);
	let found = false;
	for await (const { key } of listBackups(storage, { prefix, signal: cancelSignal(context) })) {
		found = true;
		yield key;
	}
	if (found) return;
	throw new LifeboatError('NOT_FOUND', `There is no backup under "${prefix}" in ${storage.description}`, {
		hint: 'Check the storage and the prefix. Where nothing lies nothing can be verified',
	});
}

/** Whether an error speaks of one backup, so that the others can still be looked at; not of the way to the storage. */
function isAboutBackup(error: unknown): error is LifeboatError {
	if (isVerdict(error)) return true;
	const codes = ['BACKUP_PROBLEM', 'NOT_COMPARABLE', 'NOT_FOUND'];
	return error instanceof LifeboatError && codes.includes(error.code);
}
