import { Readable } from 'node:stream';

import { serializeManifest, type Manifest } from '../../artifact/manifest';
import { LifeboatError } from '../../errors';
import { baseName } from '../keys';
import { readText } from '../read-text';
import type { PutOptions, Storage } from '../storage';

import { MAX_MANIFEST_SIZE } from './read';
import { serializeMark, type Pin, type Proof } from './marks';
import { checksumKey, manifestKey, pinKey, proofKey, sha256Sidecar } from './sidecars';

/**
 * Writes checksum and manifest of an object that is proven, the manifest last, and reads both back.
 *
 * @throws LifeboatError `PROOF_FAILED`.
 */
export async function writeSidecars(
	storage: Storage,
	key: string,
	manifest: Manifest,
	signal?: AbortSignal,
): Promise<void> {
	await writeText(storage, checksumKey(key), sha256Sidecar(baseName(key), manifest.stored.sha256), {
		...{ contentType: 'text/plain; charset=utf-8', role: 'sidecar', signal },
	});
	await writeText(storage, manifestKey(key), serializeManifest(manifest), {
		...{ contentType: 'application/json', role: 'sidecar', signal },
	});
}

async function writeText(
	storage: Storage,
	key: string,
	text: string,
	options: Pick<PutOptions, 'contentType' | 'role' | 'signal'>,
): Promise<void> {
	const bytes = Buffer.from(text);
	const source = Readable.from([bytes], { objectMode: false });
	await storage.put(key, source, { ...options, size: bytes.length, ifExists: 'replace' });
	if ((await readText(storage, key, MAX_MANIFEST_SIZE, { signal: options.signal })) === text) return;
	throw new LifeboatError('PROOF_FAILED', `${key} in ${storage.description} is not what was sent`, {
		hint: 'The storage or the way to it damages data. Check the disk and the network before you rely on it',
	});
}

/** Has checksum and manifest that are there already kept as new ones would be. @throws as `Storage.ensureKept`. */
export async function keepSidecars(storage: Storage, key: string, signal?: AbortSignal): Promise<void> {
	await storage.ensureKept?.(checksumKey(key), 'sidecar', signal);
	await storage.ensureKept?.(manifestKey(key), 'sidecar', signal);
}

/** Makes what lies under the key unfinished. */
export async function removeSidecars(storage: Storage, key: string, signal?: AbortSignal): Promise<void> {
	await storage.delete(manifestKey(key), signal);
	await storage.delete(checksumKey(key), signal);
	await storage.delete(proofKey(key), signal);
}

/** Writes what a restore test found beside its backup, in place of an earlier one, and reads it back. @throws LifeboatError `PROOF_FAILED`. */
export async function writeProof(
	storage: Storage,
	key: string,
	proof: Omit<Proof, 'formatVersion'>,
	signal?: AbortSignal,
): Promise<void> {
	await writeText(storage, proofKey(key), serializeMark(proof), {
		contentType: 'application/json',
		role: 'mark',
		signal,
	});
}

/** Keeps a backup from being deleted. @throws LifeboatError `PROOF_FAILED`. */
export async function writePin(
	storage: Storage,
	key: string,
	pin: Omit<Pin, 'formatVersion'>,
	signal?: AbortSignal,
): Promise<void> {
	await writeText(storage, pinKey(key), serializeMark(pin), {
		contentType: 'application/json',
		role: 'mark',
		signal,
	});
}

/** Lets a backup be deleted again; one that isn't pinned is no error. */
export async function removePin(storage: Storage, key: string, signal?: AbortSignal): Promise<void> {
	await storage.delete(pinKey(key), signal);
}
