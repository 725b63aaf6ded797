import type { IDataObject, IExecuteFunctions, INodeProperties } from 'n8n-workflow';

import type { Manifest } from '../../lib/artifact/manifest';
import { LifeboatError } from '../../lib/errors';
import { listBackups, readBackup } from '../../lib/storage/backups';
import type { Storage } from '../../lib/storage/storage';
import { sameDigest } from '../../lib/streams/digest';
import { alsoShownFor } from '../shared/properties';
import { cancelSignal } from '../shared/run';
import { prefixOf, storageCredentials, storageProperties } from '../shared/storage';

/** Operations and choices with which a node that reads no storage by itself needs one. */
const places: Record<string, string[]>[] = [
	{ operation: ['compare'] },
	{ operation: ['inStorage'] },
	{ operation: ['restoreTest'], proof: ['storage'] },
];

/** Where the backup lies that the item holds. */
export const storedBackupProperties: INodeProperties[] = places.flatMap((place) =>
	storageProperties.map((property) => alsoShownFor(property, place)),
);

/** One entry a type, as n8n looks at the first only: which storage is chosen tells whether it is shown. */
export const storedBackupCredentials = storageCredentials.map((credential) =>
	alsoShownFor(credential, { operation: places.flatMap(({ operation }) => operation!) }),
);

/**
 * The key under which a backup lies in a storage: where the item says, if that is still this backup; else it is looked for under the prefix.
 *
 * @throws LifeboatError `NOT_FOUND`
 */
export async function keyOf(
	context: IExecuteFunctions,
	itemIndex: number,
	storage: Storage,
	{ id, fileName, stored: bytes }: Manifest,
): Promise<string> {
	const signal = cancelSignal(context);
	const { from, stored } = context.getInputData()[itemIndex]!.json as Record<string, IDataObject | undefined>;
	// The same backup with another key or password has the same id: a proof of these bytes says nothing of those.
	const isThis = (other: Manifest | undefined) => other?.id === id && sameDigest(other.stored, bytes);
	for (const place of [stored, from]) {
		if (typeof place?.key !== 'string' || place.storage !== storage.description) continue;
		const backup = await readBackup(storage, place.key, signal);
		if (isThis(backup.manifest)) return place.key;
	}
	const prefix = prefixOf(context, itemIndex);
	for await (const { key, manifest } of listBackups(storage, { prefix, signal })) {
		if (isThis(manifest)) return key;
	}
	throw new LifeboatError(
		'NOT_FOUND',
		`The backup ${fileName} is not under "${prefix}" in ${storage.description}`,
		{ hint: 'Give the storage and prefix where this very backup lies, or choose to write no proof' },
	);
}
