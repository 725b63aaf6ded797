import type { Manifest } from '../../artifact/manifest';
import { LifeboatError, messageOf } from '../../errors';
import type { Storage, StoredObject } from '../storage';

import { deleteBackup } from './delete';
import { isNotFound, readBackup, type StoredBackup } from './read';
import { manifestKey } from './sidecars';
import { removeSidecars } from './write-sidecars';

/**
 * Removes what was stored so far, even after an abort, and returns the error to throw. What another run has put there meanwhile stays.
 *
 * @param ids of the manifests that may lie beside it without being another run's: its own, and that of the backup it replaced.
 */
export async function undo(
	storage: Storage,
	object: StoredObject,
	ids: ReadonlySet<string | undefined>,
	error: unknown,
	signal: AbortSignal | undefined,
): Promise<unknown> {
	const fate = await removeUnlessReplaced(storage, object, ids);
	if (signal?.aborted && fate === 'It was removed again') return error;
	return withFate(error, fate);
}

function withFate(error: unknown, fate: string): LifeboatError {
	const known = error instanceof LifeboatError ? error : undefined;
	return new LifeboatError(known?.code ?? 'STORAGE_FAILED', `${messageOf(error)}. ${fate}`, {
		...(known?.hint !== undefined && { hint: known.hint }),
		cause: error,
	});
}

async function removeUnlessReplaced(
	storage: Storage,
	{ key, version }: StoredObject,
	ids: ReadonlySet<string | undefined>,
): Promise<string> {
	try {
		const there = await storage.stat(key);
		const id = there && (await readBackup(storage, key)).manifest?.id;
		// Not every storage's versions tell objects of the same second apart, but a whole backup of another run has its manifest.
		if (id !== undefined && !ids.has(id))
			return 'Another run has replaced it meanwhile, so it was left alone';
		if (there && there.version !== version) {
			// Its manifest alone: the checksum beside it may be the other run's already.
			if (id !== undefined) await storage.delete(manifestKey(key));
			return 'Another run has replaced it meanwhile, so it was left alone';
		}
		await deleteBackup(storage, key);
		return 'It was removed again';
	} catch (error) {
		return `It could not be removed (${messageOf(error)}); without its manifest it does not count as a backup`;
	}
}

/**
 * Makes what lies under the key unfinished, if its manifest is still that of the given backup.
 *
 * @returns whether it was.
 */
export async function removeSidecarsOf(
	storage: Storage,
	{ key, manifest }: { key: string; manifest?: Pick<Manifest, 'id'> | undefined },
	signal?: AbortSignal,
): Promise<boolean> {
	const now = await readBackup(storage, key, signal);
	if (!now.manifest || now.manifest.id !== manifest?.id) return false;
	await removeSidecars(storage, key, signal);
	return true;
}

/**
 * Looks, after a failed attempt to replace a backup, whether the new object has taken its place all the same (the answer was lost, or what
 * came after it failed). Then the files beside it speak of what is gone: they are removed, even after an abort, so that nobody takes the
 * new object for the old backup. Those that another run wrote meanwhile stay.
 *
 * @param before what lay there before the attempt.
 * @returns the error to throw.
 */
export async function disown(
	storage: Storage,
	{ key, manifest }: StoredBackup,
	before: StoredObject,
	error: unknown,
): Promise<unknown> {
	try {
		const there = await storage.stat(key);
		if (!there || there.version === before.version) return error;
		if (!(await removeSidecarsOf(storage, { key, manifest }))) return error;
		return withFate(error, 'The earlier backup had been replaced by then, so its manifest was removed');
	} catch (failure) {
		if (isNotFound(failure)) return error;
		const problem = messageOf(failure);
		return withFate(error, `Whether the earlier backup is still there could not be found out: ${problem}`);
	}
}
