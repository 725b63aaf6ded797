import { LifeboatError } from '../../errors';
import { assertKey } from '../keys';
import type { Storage } from '../storage';

import { isNotFound, readBackup } from './read';
import { checksumKey, manifestKey, pinKey, proofKey } from './sidecars';

/**
 * Removes a backup: the object, then its checksum and its proof, its manifest last. A crash in between leaves an entry that every listing
 * shows as `object missing`: never something that looks whole, nor something that no later run would find. An object that may
 * not be removed (a lock, missing permission) stays a whole backup.
 *
 * What isn't there is no error.
 *
 * @param versions what goes where the storage keeps versions: `current` leaves a marker and the versions, `all` leaves nothing.
 * @throws LifeboatError `PINNED` while it is pinned; `OBJECT_LOCKED` if
 * a version may not go; `DELETE_FAILED` if the storage says it is removed but it is still there.
 */
export async function deleteBackup(
	storage: Storage,
	key: string,
	signal?: AbortSignal,
	versions: 'current' | 'all' = 'current',
): Promise<void> {
	assertKey(key);
	await assertUnpinned(storage, key, signal);
	for (const each of [key, checksumKey(key), proofKey(key), manifestKey(key)]) {
		if (versions === 'all' && storage.deleteVersions) await storage.deleteVersions(each, signal);
		else await storage.delete(each, signal);
		if (await storage.stat(each, signal)) {
			throw new LifeboatError(
				'DELETE_FAILED',
				`${each} is still in ${storage.description} after it was deleted`,
				{
					hint: 'Another run may have written it just now, or the storage delays deletions. Run it again',
				},
			);
		}
	}
}

/**
 * Makes sure, right before a deletion that was decided from an earlier list, that the key still stands for that backup: another run
 * may have put a new one there, or be about to (its object comes before its manifest). What is gone by now is no error.
 *
 * @param id the manifest's id in that list.
 * @throws LifeboatError `REPLACED`.
 */
export async function assertSameBackup(
	storage: Storage,
	key: string,
	id: string,
	signal?: AbortSignal,
): Promise<void> {
	try {
		if ((await readBackup(storage, key, signal)).manifest?.id === id) return;
	} catch (error) {
		if (isNotFound(error)) return;
		throw error;
	}
	throw new LifeboatError(
		'REPLACED',
		`${key} in ${storage.description} is not the backup any more that was to go; it was left as it is`,
		{
			hint: 'Another run has written, or is writing, a new backup under the same key. Give each backup a key of its own',
		},
	);
}

/** @throws LifeboatError `PINNED` while the backup under the key is pinned. */
export async function assertUnpinned(storage: Storage, key: string, signal?: AbortSignal): Promise<void> {
	if (!(await storage.stat(pinKey(key), signal))) return;
	throw new LifeboatError('PINNED', `${key} in ${storage.description} is pinned; it was left as it is`, {
		hint: 'Unpin it first (node Apply Retention) if it may really go',
	});
}
