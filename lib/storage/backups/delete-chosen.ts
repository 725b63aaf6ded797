import { LifeboatError } from '../../errors';
import type { Storage } from '../storage';

import { assertSameBackup, assertUnpinned, deleteBackup } from './delete';
import { listBackups } from './list';
import { isNotFound, readBackup, type StoredBackup } from './read';
import { sidecarSuffixes } from './sidecars';

/**
 * Deletes a backup that somebody names, once it is sure that it is one: a file without a readable manifest beside it may be
 * anybody's. A backup whose object is missing, as an interrupted deletion leaves it, goes too.
 *
 * @param within the folder in which backups may need this one (increments); the whole storage unless given.
 * @returns what was deleted.
 * @throws LifeboatError `NOT_FOUND`, `NOT_A_BACKUP`, `PINNED`, `NEEDED` while an increment builds on it,
 * `REPLACED`, and as `deleteBackup`.
 */
export async function deleteChosenBackup(
	storage: Storage,
	key: string,
	{ within, signal }: { within?: string; signal?: AbortSignal } = {},
): Promise<StoredBackup> {
	const backup = await readBackup(storage, key, signal).catch(async (error: unknown) => {
		if (isNotFound(error)) await refuseSidecar(storage, key, signal);
		throw error;
	});
	if (!backup.manifest) {
		await refuseSidecar(storage, key, signal);
		throw new LifeboatError(
			'NOT_A_BACKUP',
			`${key} in ${storage.description} was not deleted: it is not known to be a backup (${backup.problem})`,
			{
				hint: 'Only what has a readable manifest beside it is deleted: everything else may belong to somebody else. Delete it with the means of the storage if it may go',
			},
		);
	}
	await assertUnpinned(storage, key, signal);
	await assertNotNeeded(storage, backup, within, signal);
	await assertSameBackup(storage, key, backup.manifest.id, signal);
	await deleteBackup(storage, key, signal);
	return backup;
}

/** Tells whoever gave the key of a file beside a backup which one the backup's is. */
async function refuseSidecar(storage: Storage, key: string, signal?: AbortSignal): Promise<void> {
	const suffix = Object.values(sidecarSuffixes).find((each) => key.endsWith(each));
	if (suffix === undefined || suffix === key || !(await storage.stat(key, signal))) return;
	const backup = key.slice(0, -suffix.length);
	throw new LifeboatError('NOT_A_BACKUP', `${key} in ${storage.description} is a file beside a backup`, {
		hint: `Give the key of the backup itself, ${backup}: the files beside it go with it`,
	});
}

/** A full backup without which increments are worthless must not go before them. */
async function assertNotNeeded(
	storage: Storage,
	{ key, manifest }: StoredBackup,
	prefix: string | undefined,
	signal?: AbortSignal,
): Promise<void> {
	for await (const other of listBackups(storage, { ...(prefix && { prefix }), signal })) {
		const { chain } = other.manifest ?? {};
		if (!chain || other.key === key || (chain.parent !== manifest!.id && chain.base !== manifest!.id))
			continue;
		throw new LifeboatError(
			'NEEDED',
			`${key} in ${storage.description} was not deleted: ${other.key} can't be restored without it`,
			{ hint: 'Delete the backups that build on it first' },
		);
	}
}
