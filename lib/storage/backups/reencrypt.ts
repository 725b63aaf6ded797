import type { Decoder, Encoding } from '../../artifact/transform';
import { reencrypt } from '../../encryption/reencrypt';
import { LifeboatError, messageOf } from '../../errors';
import { baseName } from '../keys';
import type { Storage } from '../storage';

import { assertSameBackup, assertUnpinned, deleteBackup } from './delete';
import { openBackup, readBackup } from './read';
import { storeBackup, type StoreBackupResult } from './store';

export interface ReencryptBackupOptions {
	/** Opens the backup as it is now. */
	decoder: Decoder;
	/** Encrypts it again. */
	encoding: Encoding;
	/** Becomes a part of the new key. */
	now: Date;
	signal?: AbortSignal;
}

/**
 * Encrypts a stored backup again, for other keys: it is read, decrypted, encrypted and stored under a new key in one pass, and the new one
 * proven by reading it back. Only then the old one is removed. So at every moment a whole one is there; a run that is
 * killed may leave both.
 *
 * @throws LifeboatError `NOT_FOUND`, `BACKUP_PROBLEM` when it isn't whole, `PINNED`, `NOT_ENCRYPTED`, what `storeBackup` throws;
 * `OLD_LEFT` when the new one is stored and the old one couldn't be removed.
 */
export async function reencryptBackup(
	storage: Storage,
	key: string,
	{ decoder, encoding, now, signal }: ReencryptBackupOptions,
): Promise<StoreBackupResult> {
	const { manifest, problem } = await readBackup(storage, key, signal);
	if (!manifest || problem !== undefined) {
		throw new LifeboatError(
			'BACKUP_PROBLEM',
			`The backup ${key} in ${storage.description} can't be used: ${problem ?? 'its manifest is missing'}`,
			{ hint: 'It was left as it is. Choose another one: the operation List tells which there are' },
		);
	}
	await assertUnpinned(storage, key, signal);
	const artifact = reencrypt(openBackup(storage, { key, manifest }), decoder, encoding);
	const folder = key.slice(0, -baseName(key).length);
	const newKey = folder + nameAgain(artifact.draft.fileName, now, encoding.extension);
	const stored = await storeBackup(storage, artifact, { key: newKey, ifExists: 'fail', signal });
	try {
		await assertSameBackup(storage, key, manifest.id, signal);
		await deleteBackup(storage, key, signal);
	} catch (error) {
		throw new LifeboatError(
			'OLD_LEFT',
			`The backup lies encrypted again as ${newKey}, but the old one ${key} is still in ${storage.description}: ${messageOf(error)}`,
			{
				hint: 'Look at the old one, and remove it once nothing holds it (a lock, a pin, missing permission)',
				cause: error,
			},
		);
	}
	return stored;
}

/** `shop-20261121T020000Z_r20261122T101500Z.sql.zst.age`: never the name of the old one, which stays until this one is proven. */
function nameAgain(fileName: string, now: Date, extension: string): string {
	const mark = `_r${now
		.toISOString()
		.replace(/\.\d+Z$/, 'Z')
		.replaceAll(/[-:]/g, '')}`;
	const stamp = /(\d{8}T\d{6}Z)(?:_r\d{8}T\d{6}Z)?/;
	if (stamp.test(fileName)) return fileName.replace(stamp, `$1${mark}`);
	return `${fileName.slice(0, -extension.length)}${mark}${extension}`;
}
