import { Transform } from 'node:stream';

import type { Artifact } from '../../artifact/artifact';
import type { Manifest } from '../../artifact/manifest';
import { restoreCommands } from '../../artifact/restore-commands';
import { codeOf, LifeboatError } from '../../errors';
import { chain } from '../../streams/chain';
import { sameDigest } from '../../streams/digest';
import { passesOn } from '../../streams/neighbours';
import { ProgressStream, type Progress } from '../../streams/progress';
import { Throttle } from '../../streams/throttle';
import { assertKey, baseName, folderPrefix } from '../keys';
import type { Storage, StoredObject } from '../storage';

import { assertUnpinned } from './delete';
import { assertStillThere, proveObject, readBack, type StorageProof } from './prove';
import { isNotFound, readBackup, type StoredBackup } from './read';
import { manifestKey } from './sidecars';
import { disown, removeSidecarsOf, undo } from './undo';
import { keepSidecars, writeSidecars } from './write-sidecars';

export interface StoreBackupOptions {
	/** The folder to store it in; the root unless given. Not used with `key`. */
	prefix?: string;
	/** The whole key; the artifact's file name in the folder unless given. */
	key?: string;
	/** What to do if another backup is there: fail with `ALREADY_EXISTS` (default) or replace it. */
	ifExists?: 'fail' | 'replace';
	signal?: AbortSignal;
	/**
	 * How the stored object is proven: by reading it back (default), which costs the download of what was uploaded; or by the
	 * checksums with which the service received it. Where it has none, the object is read back all the same.
	 */
	proof?: StorageProof['method'];
	/** At most so many bytes a second, on average, go to the storage, and come back for the proof. */
	maxBytesPerSecond?: number;
	/** Called every 10 s while the object is sent. */
	onProgress?: (progress: Progress) => void;
}

/** Milliseconds between two reports of progress. */
const REPORT_EVERY = 10_000;

export interface StoreBackupResult {
	key: string;
	manifest: Manifest;
	proof: StorageProof;
	/** Seconds that sending the object took; nothing if it was there already. */
	sendingSeconds?: number;
}

/**
 * Stores a backup: the object, streamed from the artifact; then the proof that what is stored has the size and the SHA-256 of what
 * was sent; then `<key>.sha256`; `<key>.manifest.json` last. If anything fails on the way, all of it is removed again.
 *
 * The same backup, already whole under the key, is proven again and counts as stored; one whose upload ended before its manifest
 * was written is completed. So a run that is repeated succeeds.
 *
 * With `replace`, the old backup stays whole until the new object has taken its place, all at once.
 *
 * @throws LifeboatError `ALREADY_EXISTS`, `PINNED`, `PROOF_FAILED`, `REPLACED`, `INVALID_KEY`, or what the artifact or the storage throws.
 */
export async function storeBackup(
	storage: Storage,
	artifact: Artifact,
	options: StoreBackupOptions = {},
): Promise<StoreBackupResult> {
	const { ifExists = 'fail', signal } = options;
	const key = options.key ?? folderPrefix(options.prefix) + artifact.draft.fileName;
	assertKey(key);
	assertKey(manifestKey(key));
	signal?.throwIfAborted();
	if (storage.writesArchived && options.proof !== 'service-checksum') {
		throw new LifeboatError(
			'INVALID_OPTION',
			`What is stored in ${storage.description} can't be read back at once`,
			{
				hint: 'Choose the proof Service Checksum, or a storage class that is no archive',
			},
		);
	}

	const existing = await findBackup(storage, key, signal);
	const known = artifact.manifest && named(artifact.manifest, key);
	if (existing && known) {
		const proof = await proveExisting(storage, existing, known, options);
		if (proof) {
			const manifest = existing.manifest ?? known;
			await storage.ensureKept?.(key, 'content', signal);
			if (existing.problem !== undefined) await writeSidecars(storage, key, manifest, signal);
			else await keepSidecars(storage, key, signal);
			return { key, manifest, proof };
		}
	}
	if (existing && ifExists === 'fail') throw alreadyExists(storage, existing);
	if (existing) await assertUnpinned(storage, key, signal);

	const before = existing && (await storage.stat(key, signal));
	const start = performance.now();
	const { object, manifest: sent } = await putObject(storage, key, artifact, options).catch(
		async (error: unknown) => {
			throw before ? await disown(storage, existing, before, error) : error;
		},
	);
	const sendingSeconds = (performance.now() - start) / 1000;
	const manifest = named(sent, key);
	try {
		if (existing) await removeSidecarsOf(storage, existing, signal);
		const proof = await proveObject(storage, object, manifest.stored, options);
		const proven = withVersion(storage, manifest, object, proof);
		await writeSidecars(storage, key, proven, signal);
		await assertStillThere(storage, object, manifest.stored, options);
		return { key, manifest: proven, proof, sendingSeconds };
	} catch (error) {
		const ids = new Set([manifest.id, existing?.manifest?.id]);
		throw await undo(storage, object, ids, error, signal);
	}
}

/** The manifest of a backup that lies under this key: it names the file as it is called there, and so do its commands. */
function named(known: Manifest, key: string): Manifest {
	const manifest = { ...known };
	// It speaks of the place from which the backup comes.
	delete manifest.provenVersion;
	const fileName = baseName(key);
	if (manifest.fileName === fileName) return manifest;
	const renamed = { ...manifest, fileName };
	return { ...renamed, restoreCommands: restoreCommands(renamed) };
}

/** Notes which version it was that was proven, where the storage's version stands for the content. */
function withVersion(
	storage: Storage,
	manifest: Manifest,
	{ version }: StoredObject,
	{ method }: StorageProof,
): Manifest {
	if (!storage.keptChecksums || version === undefined) return manifest;
	return { ...manifest, provenVersion: { storage: storage.description, version, method } };
}

async function findBackup(
	storage: Storage,
	key: string,
	signal?: AbortSignal,
): Promise<StoredBackup | undefined> {
	try {
		return await readBackup(storage, key, signal);
	} catch (error) {
		if (isNotFound(error)) return undefined;
		throw error;
	}
}

/** The proof, if what lies there is this very backup; nothing if it is something else, or damaged. */
async function proveExisting(
	storage: Storage,
	existing: StoredBackup,
	manifest: Manifest,
	options: StoreBackupOptions,
): Promise<StorageProof | undefined> {
	const { key, size, manifest: there } = existing;
	if (size !== manifest.stored.size) return undefined;
	if (there && (there.id !== manifest.id || !sameDigest(there.stored, manifest.stored))) return undefined;
	try {
		const proof = await readBack(storage, key, options);
		return sameDigest(proof, manifest.stored) ? proof : undefined;
	} catch (error) {
		if (isNotFound(error)) return undefined;
		// Its manifest was written after the proof.
		const wasProven = there !== undefined && existing.problem === undefined;
		if (options.proof === 'service-checksum' && codeOf(error) === 'ARCHIVED' && wasProven)
			return { ...manifest.stored, method: 'service-checksum', checksum: 'compared when it was stored' };
		throw error;
	}
}

function alreadyExists(storage: Storage, existing: StoredBackup): LifeboatError {
	const what = existing.manifest
		? `the backup ${existing.manifest.name} of ${existing.manifest.createdAt}`
		: 'a file that is not this backup';
	const problem = existing.problem === undefined ? '' : ` (${existing.problem})`;
	return new LifeboatError(
		'ALREADY_EXISTS',
		`${existing.key} in ${storage.description} already exists: ${what}${problem}`,
		{ hint: 'Choose another key, or allow the existing backup to be replaced' },
	);
}

async function putObject(
	storage: Storage,
	key: string,
	artifact: Artifact,
	{ ifExists = 'fail', signal, proof, maxBytesPerSecond, onProgress }: StoreBackupOptions,
): Promise<{ object: StoredObject; manifest: Manifest }> {
	const opened = await artifact.open(signal);
	let manifest: Manifest | undefined;
	// The stream must not end, and so nothing appear under the key, before the artifact says that it is whole.
	const gate = new Transform({
		transform: (chunk, _encoding, callback) => callback(null, chunk),
		flush: (callback) => {
			opened.finish().then(
				(finished) => {
					manifest = finished;
					callback();
				},
				(error: Error) => callback(error),
			);
		},
	});
	passesOn(gate);
	const size = artifact.manifest?.stored.size;
	const stages = [
		...(maxBytesPerSecond === undefined ? [] : [new Throttle(maxBytesPerSecond)]),
		...(onProgress ? [new ProgressStream({ total: size, every: REPORT_EVERY, onProgress })] : []),
		gate,
	];
	const stream = chain(opened.stream, stages, signal);
	const known = artifact.manifest?.stored;
	const object = await storage.put(key, stream, {
		...{ signal, ifExists, size: known?.size, checksums: proof === 'service-checksum' },
		...(known && { resumable: { sha256: known.sha256 } }),
	});
	if (manifest) return { object, manifest };
	throw new LifeboatError('INCOMPLETE', `${key} was stored before all of it was read`, {
		hint: 'Run the node again; if it happens again, report it as a bug',
	});
}
