import { LifeboatError } from '../../errors';
import { chain } from '../../streams/chain';
import { DigestStream, sameDigest, type Digest } from '../../streams/digest';
import { readToEnd } from '../../streams/read-to-end';
import { Throttle } from '../../streams/throttle';
import type { Storage, StoredObject } from '../storage';

import { manifestKey } from './sidecars';

/** What was found when a stored object was looked at again. */
export interface StorageProof extends Digest {
	/**
	 * `read-back`: the whole object was read from the storage and hashed. `service-checksum`: the service compared what it received with
	 * checksums that were made of what was sent, and says that it has as many bytes; nothing was read.
	 */
	method: 'read-back' | 'service-checksum';
	/** What the service compared: `SHA-256 of each part`. */
	checksum?: string;
}

/** How an object is proven. */
export interface ProveOptions {
	proof?: StorageProof['method'];
	maxBytesPerSecond?: number;
	signal?: AbortSignal;
}

/** Reads an object back and hashes it. */
export async function readBack(
	storage: Storage,
	key: string,
	{ signal, maxBytesPerSecond }: Omit<ProveOptions, 'proof'> = {},
): Promise<StorageProof> {
	const digest = new DigestStream();
	const source = await storage.get(key, { signal });
	const limits = maxBytesPerSecond === undefined ? [] : [new Throttle(maxBytesPerSecond)];
	await readToEnd(chain(source, [...limits, digest], signal));
	return { ...digest.digest(), method: 'read-back' };
}

/**
 * Proves that an object which was just stored is what it should be.
 *
 * @param sent what storing it returned.
 * @throws LifeboatError `PROOF_FAILED` if size or SHA-256 differ, else whatever keeps it from being read.
 */
export async function proveObject(
	storage: Storage,
	sent: Pick<StoredObject, 'key' | 'receivedChecksum' | 'version'>,
	expected: Digest,
	options: ProveOptions = {},
): Promise<StorageProof> {
	const { key, receivedChecksum: checksum } = sent;
	const { proof: method = 'read-back', signal } = options;
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
	// What the service confirmed is what was sent; another run may have put something else in its place since.
	const isSent = object.version === sent.version && object.size === expected.size;
	if (method === 'service-checksum' && checksum !== undefined && isSent)
		return { size: expected.size, sha256: expected.sha256, method, checksum };
	const proof = await readBack(storage, key, options);
	if (object.size === proof.size && sameDigest(proof, expected)) return proof;
	throw new LifeboatError(
		'PROOF_FAILED',
		`${key} in ${storage.description} is not what was sent: expected ${expected.size} bytes with SHA-256 ${expected.sha256}, read back ${proof.size} bytes with SHA-256 ${proof.sha256}`,
		{
			hint: 'The storage or the way to it damages data. Check the disk and the network before you rely on it',
		},
	);
}

/**
 * Makes sure, once all is written, that the manifest still lies beside what it speaks of: two runs that store under one key at the same time
 * may have come between each other's steps. Another version alone says nothing where storages tell it anew; then the bytes do.
 *
 * @throws LifeboatError `REPLACED`.
 */
export async function assertStillThere(
	storage: Storage,
	{ key, version }: Pick<StoredObject, 'key' | 'version'>,
	expected: Digest,
	options: ProveOptions = {},
): Promise<void> {
	const [there, manifest] = await Promise.all(
		[key, manifestKey(key)].map((each) => storage.stat(each, options.signal)),
	);
	if (manifest && there?.size === expected.size) {
		if (there.version === version) return;
		if (sameDigest(await readBack(storage, key, options), expected)) return;
	}
	throw new LifeboatError(
		'REPLACED',
		`Another run has ${there ? 'replaced' : 'removed'} ${key} in ${storage.description} while it was stored`,
		{
			hint: 'Give each backup a key of its own (a time in the key template), or keep the runs from overlapping',
		},
	);
}
