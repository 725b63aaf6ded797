import { LifeboatError, messageOf } from '../../errors';
import type { Storage, StoredObject } from '../storage';

import { deleteBackup } from './delete';
import { isNotFound, readBackup, type StoredBackup } from './read';
import { removeSidecars } from './write-sidecars';

/** Removes what was stored so far, even after an abort, and returns the error to throw. */
export async function undo(
	storage: Storage,
	object: StoredObject,
	error: unknown,
	signal: AbortSignal | undefined,
): Promise<unknown> {
	const fate = await removeUnlessReplaced(storage, object);
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

async function removeUnlessReplaced(storage: Storage, { key, version }: StoredObject): Promise<string> {
	try {
		const there = await storage.stat(key);
		if (there && there.version !== version)
			return 'Another run has replaced it meanwhile, so it was left alone';
		await deleteBackup(storage, key);
		return 'It was removed again';
	} catch (error) {
		return `It could not be removed (${messageOf(error)}); without its manifest it does not count as a backup`;
	}
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
		const now = await readBackup(storage, key);
		if (!now.manifest || now.manifest.id !== manifest?.id) return error;
		await removeSidecars(storage, key);
		return withFate(error, 'The earlier backup had been replaced by then, so its manifest was removed');
	} catch (failure) {
		if (isNotFound(failure)) return error;
		const problem = messageOf(failure);
		return withFate(error, `Whether the earlier backup is still there could not be found out: ${problem}`);
	}
}
