import type { IDataObject, IExecuteFunctions, INodeExecutionData, INodeProperties } from 'n8n-workflow';

import { decoderWith } from '../../lib/encryption/decoder';
import { reencrypt } from '../../lib/encryption/reencrypt';
import { reencryptBackup } from '../../lib/storage/backups';
import { emitArtifact, readArtifact, type HandOver } from '../shared/artifacts';
import { encryptionKeys } from '../shared/credentials';
import { requiredChoice } from '../shared/parameters';
import { alsoShownFor, notice } from '../shared/properties';
import { cancelSignal } from '../shared/run';
import { storedBackupProperty } from '../shared/stored-backup-list';
import { storageCredentials, storageFor, storageProperties } from '../shared/storage';

import { encodingFor } from './encoding';

const stored = { operation: ['reencrypt'], backupSource: ['stored'] };

export const reencryptCredentials = storageCredentials.map((credential) => alsoShownFor(credential, stored));

export const description: INodeProperties[] = [
	{
		displayName: 'Backup',
		name: 'backupSource',
		type: 'options',
		noDataExpression: true,
		options: [
			{ name: 'In the Input Item', value: 'incoming', description: 'Passed on, encrypted again' },
			{
				name: 'In a Storage',
				value: 'stored',
				description: 'Replaced there: the old one is removed once the new one is proven',
			},
		],
		default: 'incoming',
		description: 'Where the backup is that gets other keys',
		displayOptions: { show: { operation: ['reencrypt'] } },
	},
	notice(
		'replaceNotice',
		'The stored backup is replaced: from then on only the new keys open it. Its old bytes are removed once the new ones are proven.',
		stored,
	),
	...storageProperties.map((property) => alsoShownFor(property, stored)),
	storedBackupProperty(stored, 'The backup that gets other keys, as the operation List of Upload tells it'),
];

export async function execute(context: IExecuteFunctions, itemIndex: number): Promise<INodeExecutionData[]> {
	const keys = await encryptionKeys(context, itemIndex);
	const encoding = await encodingFor(context, itemIndex, keys);
	const decoder = decoderWith(keys);
	if (context.getNodeParameter('backupSource', itemIndex) === 'incoming') {
		const artifact = reencrypt(await readArtifact(context, itemIndex), decoder, encoding);
		const handOver = context.getNodeParameter('handOver', itemIndex) as HandOver;
		return [await emitArtifact(context, itemIndex, artifact, handOver)];
	}
	const oldKey = requiredChoice(context, 'key', itemIndex, 'Stored Backup');
	const storage = await storageFor(context, itemIndex);
	try {
		const signal = cancelSignal(context);
		const options = { decoder, encoding, now: new Date(), signal };
		const { key, manifest, proof } = await reencryptBackup(storage, oldKey, options);
		return [
			{
				json: {
					manifest: manifest as unknown as IDataObject,
					stored: { storage: storage.description, key, ...proof },
					replaced: oldKey,
				},
				pairedItem: { item: itemIndex },
			},
		];
	} finally {
		await storage.close();
	}
}
