import type { IDataObject, IExecuteFunctions, INodeExecutionData, INodeProperties } from 'n8n-workflow';

import { LifeboatError } from '../../lib/errors';
import { pinKey, readBackup, removePin, writePin } from '../../lib/storage/backups';
import { requiredText, textParameter } from '../shared/parameters';
import { cancelSignal } from '../shared/run';
import { storageFor } from '../shared/storage';

export const description: INodeProperties[] = [
	{
		displayName: 'Key',
		name: 'key',
		type: 'string',
		required: true,
		default: '={{ $json.key ?? $json.stored?.key }}',
		placeholder: 'e.g. shop/shop-20261121T020000Z.sql.zst.age',
		description:
			'The whole key of the backup, as List tells it. By default that of the backup in the incoming item.',
		displayOptions: { show: { operation: ['pin', 'unpin'] } },
	},
	{
		displayName: 'Reason',
		name: 'reason',
		type: 'string',
		default: '',
		placeholder: 'e.g. Before the migration to version 4',
		description: 'Why it is to stay, for whoever finds it in some years',
		displayOptions: { show: { operation: ['pin'] } },
	},
];

/** Keeps a backup from every deletion. Pinning again only changes the reason. */
export async function pin(context: IExecuteFunctions, itemIndex: number): Promise<INodeExecutionData[]> {
	const key = requiredText(context, 'key', itemIndex, 'Key');
	const reason = textParameter(context, 'reason', itemIndex);
	const signal = cancelSignal(context);
	const storage = await storageFor(context, itemIndex);
	try {
		const { manifest, problem } = await readBackup(storage, key, signal);
		if (!manifest) {
			throw new LifeboatError(
				'MANIFEST_INVALID',
				`${key} in ${storage.description} can't be pinned, since nobody knows what it is: ${problem ?? 'its manifest is missing'}`,
				{ hint: 'Apply Retention keeps what it cannot read, so it stays anyway' },
			);
		}
		const { id: backupId, name, kind, createdAt } = manifest;
		const pinnedAt = new Date().toISOString();
		await writePin(storage, key, { backupId, pinnedAt, ...(reason && { reason }) }, signal);
		const json: IDataObject = { key, pinned: true, pinnedAt, reason, name, kind, createdAt };
		return [{ json: problem === undefined ? json : { ...json, problem } }];
	} finally {
		await storage.close();
	}
}

/** Lets a backup be deleted again. */
export async function unpin(context: IExecuteFunctions, itemIndex: number): Promise<INodeExecutionData[]> {
	const key = requiredText(context, 'key', itemIndex, 'Key');
	const signal = cancelSignal(context);
	const storage = await storageFor(context, itemIndex);
	try {
		const wasPinned = (await storage.stat(pinKey(key), signal)) !== undefined;
		// Throws where there is no such backup: a key with a slip in it must not look like success.
		if (!wasPinned) await readBackup(storage, key, signal);
		await removePin(storage, key, signal);
		return [{ json: { key, pinned: false, wasPinned } }];
	} finally {
		await storage.close();
	}
}
