import { LifeboatError } from '../../errors';
import { baseName, folderPrefix } from '../keys';
import type { Storage } from '../storage';

import { readMarks, type Proof } from './marks';
import { openBackup, readBackup } from './read';
import { proofKey } from './sidecars';
import { storeBackup, type StoreBackupOptions, type StoreBackupResult } from './store';
import { writeProof } from './write-sidecars';

export interface CopyBackupResult extends StoreBackupResult {
	/** What a restore test found about these bytes, where such a proof lies beside the original. */
	restoreProof?: Proof;
}

/**
 * Copies a backup into another storage. It streams from the one to the other, compared with its manifest on the way, and is
 * proven there as `storeBackup` does. The manifest stays what it is, save for the file's name where the key's last part
 * differs, and for the version that was proven. A proof of a restore that speaks of just these bytes comes along; a pin doesn't, since it speaks of one place.
 *
 * @throws LifeboatError `NOT_FOUND`; `INCOMPLETE` if the original isn't whole; `INVALID_OPTION` for a copy onto itself; and
 * as `storeBackup`.
 */
export async function copyBackup(
	from: Storage,
	key: string,
	to: Storage,
	options: StoreBackupOptions = {},
): Promise<CopyBackupResult> {
	const { signal } = options;
	const backup = await readBackup(from, key, signal);
	const { manifest, marks } = backup;
	if (!manifest || backup.size !== manifest.stored.size) {
		throw new LifeboatError(
			'INCOMPLETE',
			`${key} in ${from.description} can't be copied: ${backup.problem}`,
			{
				hint: 'Choose another backup: the operation List tells which are whole',
			},
		);
	}
	const target = options.key ?? folderPrefix(options.prefix) + baseName(key);
	if (from.description === to.description && key === target) {
		throw new LifeboatError('INVALID_OPTION', `${key} in ${from.description} can't be copied onto itself`, {
			hint: 'Choose another destination, or another prefix there',
		});
	}
	const stored = await storeBackup(to, openBackup(from, { key, manifest }), { ...options, key: target });
	if (!marks.proof) return stored;
	await copyProof(to, stored, marks.proof, signal);
	return { ...stored, restoreProof: marks.proof };
}

/** One that lies there already may be the newer one: a copy can be tested on its own. */
async function copyProof(
	to: Storage,
	{ key, manifest }: StoreBackupResult,
	proof: Proof,
	signal?: AbortSignal,
): Promise<void> {
	const file = await to.stat(proofKey(key), signal);
	const { proof: there } = await readMarks(to, key, { proof: file }, manifest, signal);
	if (there && Date.parse(there.testedAt) >= Date.parse(proof.testedAt)) return;
	await writeProof(to, key, proof, signal);
}
