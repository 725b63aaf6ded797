import type { Manifest } from '../artifact/manifest';
import { codeOf, LifeboatError } from '../errors';
import { readBackup, writeProof } from '../storage/backups';
import type { Storage } from '../storage/storage';
import { sameDigest } from '../streams/digest';

import { toProof, type RestoreTestReport } from './restore-test';

/**
 * Writes what a restore test found beside the backup that was tested, if that still lies there: a test may take hours, and a proof must not take the place
 * of another backup's. What could not be tested proves nothing, and takes nothing back that was proven before.
 *
 * @returns whether it was written. That a backup that failed is gone is added to the report's warnings, so as not to hide why it failed.
 * @throws LifeboatError `NOT_FOUND` when one that passed is gone or another lies in its place; `PROOF_FAILED`.
 */
export async function keepProof(
	storage: Storage,
	key: string,
	manifest: Manifest,
	report: RestoreTestReport,
	signal?: AbortSignal,
): Promise<boolean> {
	if (report.result === 'not testable') return false;
	if (await isStillThere(storage, key, manifest, signal)) {
		await writeProof(storage, key, toProof(manifest, report), signal);
		return true;
	}
	const message = `No proof was written: ${key} in ${storage.description} is no longer the backup that was tested`;
	if (report.result === 'passed') {
		throw new LifeboatError('NOT_FOUND', message, {
			hint: 'It was deleted, replaced or encrypted again meanwhile. Test what lies there now',
		});
	}
	report.warnings.push(message);
	return false;
}

async function isStillThere(
	storage: Storage,
	key: string,
	{ id, stored }: Manifest,
	signal: AbortSignal | undefined,
): Promise<boolean> {
	try {
		const { manifest } = await readBackup(storage, key, signal);
		return manifest?.id === id && sameDigest(manifest.stored, stored);
	} catch (error) {
		if (codeOf(error) === 'NOT_FOUND') return false;
		throw error;
	}
}
