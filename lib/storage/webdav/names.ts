import { randomBytes } from 'node:crypto';

import { LifeboatError } from '../../errors';
import { TEMPORARY_PREFIX } from '../../streams/atomic-file';
import { assertKey, isRemovable as isRemovableKey } from '../keys';

import { send } from './exchange';
import { readFolder } from './propfind';
import type { WebDavTarget } from './target';

/** Names of files and folders have at most so many bytes on nearly every server's disk. */
const MAX_NAME_BYTES = 255;

/** The start of the names of what is unfinished. Without the dot of other storages: nginx doesn't list names that begin with one. */
const PREFIX = '~lifeboat-';

/** A name for what is unfinished. Not one that ends with .part, which Nextcloud refuses. */
export function temporaryName(suffix: string, stem: string = randomBytes(9).toString('hex')): string {
	return `${PREFIX}${stem}.${suffix}`;
}

/** Whether a name stands for something unfinished of ours, also of another driver's on the same disk. */
export function isTemporaryName(name: string): boolean {
	return name.startsWith(PREFIX) || name.startsWith(TEMPORARY_PREFIX);
}

/** Whether a name is that of something unfinished which may be removed once it is old: see `isRemovable` of the keys. */
export function isRemovable(name: string): boolean {
	return name.startsWith(PREFIX) || isRemovableKey(name);
}

/** As `assertKey`, and that the names in the key are neither too long for servers nor reserved here. @throws LifeboatError `INVALID_KEY`. */
export function assertWebDavKey(key: string): void {
	assertKey(key);
	for (const name of key.split('/')) {
		if (Buffer.byteLength(name) > MAX_NAME_BYTES) {
			throw new LifeboatError('INVALID_KEY', `The name ${name} is too long for a WebDAV server`, {
				hint: `Names of files and folders may have ${MAX_NAME_BYTES} bytes each. Choose a shorter one`,
			});
		}
		if (isTemporaryName(name)) {
			throw new LifeboatError('INVALID_KEY', `${key} cannot be the key of a backup on a WebDAV server`, {
				hint: `Names that begin with ${PREFIX} are reserved for unfinished files. Choose another one`,
			});
		}
	}
}

/**
 * Refuses a key with a name that begins with a dot on servers that leave those out of their lists: a backup would be stored and
 * never be seen again. Asks the server only for such keys.
 *
 * @throws LifeboatError `INVALID_KEY`.
 */
export async function assertListed(target: WebDavTarget, key: string, signal: AbortSignal): Promise<void> {
	if (!key.split('/').some((name) => name.startsWith('.'))) return;
	target.listsHidden ??= await listsHidden(target, signal);
	if (target.listsHidden) return;
	throw new LifeboatError(
		'INVALID_KEY',
		`The server of ${target.description} does not list names that begin with a dot`,
		{
			hint: `${key} could be stored but not be found again. Choose a key without such a name`,
		},
	);
}

async function listsHidden(target: WebDavTarget, signal: AbortSignal): Promise<boolean> {
	const folder = `${target.root}${temporaryName('probe')}/`;
	try {
		for (const path of [folder, `${folder}.hidden/`]) {
			(await send(target, 'MKCOL', path, { signal })).resume();
		}
		return (await readFolder(target, folder, signal))?.length === 1;
	} finally {
		(await send(target, 'DELETE', folder, {}, [404])).resume();
	}
}
