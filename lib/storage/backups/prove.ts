import { pipeline } from 'node:stream/promises';

import { LifeboatError } from '../../errors';
import { DigestStream, sameDigest, type Digest } from '../../streams/digest';
import type { Storage } from '../storage';

/** What was found when a stored object was looked at again. */
export interface StorageProof extends Digest {
	/** `read-back`: the whole object was read from the storage and hashed. */
	method: 'read-back';
}

/** Reads an object back and hashes it. */
export async function readBack(storage: Storage, key: string, signal?: AbortSignal): Promise<StorageProof> {
	const digest = new DigestStream();
	await pipeline(await storage.get(key, { signal }), digest.resume(), { signal });
	return { ...digest.digest(), method: 'read-back' };
}

/**
 * Proves that an object in a storage is what it should be.
 *
 * @throws LifeboatError `PROOF_FAILED` if size or SHA-256 differ, else whatever keeps it from being read.
 */
export async function proveObject(
	storage: Storage,
	key: string,
	expected: Digest,
	signal?: AbortSignal,
): Promise<StorageProof> {
	const object = await storage.stat(key, signal);
	if (!object) {
		throw new LifeboatError(
			'PROOF_FAILED',
			`${key} is not in ${storage.description} although it was stored`,
			{
				hint: 'Something else removes files there (a lifecycle rule, another run). Nothing was reported as a success',
			},
		);
	}
	const proof = await readBack(storage, key, signal);
	if (object.size === proof.size && sameDigest(proof, expected)) return proof;
	throw new LifeboatError(
		'PROOF_FAILED',
		`${key} in ${storage.description} is not what was sent: expected ${expected.size} bytes with SHA-256 ${expected.sha256}, read back ${proof.size} bytes with SHA-256 ${proof.sha256}`,
		{
			hint: 'The storage or the way to it damages data. Check the disk and the network before you rely on it',
		},
	);
}
