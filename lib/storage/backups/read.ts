import { storedArtifact } from '../../artifact/file-artifact';
import type { Artifact } from '../../artifact/artifact';
import { parseManifestText, type Manifest } from '../../artifact/manifest';
import { codeOf, LifeboatError, messageOf } from '../../errors';
import { assertKey } from '../keys';
import { readText } from '../read-text';
import type { Storage, StoredObject } from '../storage';

import { readMarks, type Marks } from './marks';
import { checksumKey, manifestKey, pinKey, proofKey, type Sidecar } from './sidecars';

/** A backup in a storage: an object with a manifest beside it. */
export interface StoredBackup {
	key: string;
	/** Bytes of the object; 0 if it is missing. */
	size: number;
	/** When the object was last written by the storage's clock, if that is before the backup says it was made: one of the two clocks is wrong. */
	storedBefore?: Date;
	/** Unless it can't be read. */
	manifest?: Manifest;
	/** Why the backup can't be relied on: what is missing, or wrong with its manifest. */
	problem?: string;
	/** What was said of it after it was stored. */
	marks: Marks;
}

/** Bytes; a manifest of 100,000 tables has about 10 MB. */
export const MAX_MANIFEST_SIZE = 64 * 1024 * 1024;

/**
 * What lies under one key.
 *
 * @throws LifeboatError `NOT_FOUND` if neither object nor manifest is there; what is there but not whole is told as `problem`.
 */
export async function readBackup(storage: Storage, key: string, signal?: AbortSignal): Promise<StoredBackup> {
	assertKey(key);
	const [object, manifest, checksum, proof, pin] = await Promise.all(
		[key, manifestKey(key), checksumKey(key), proofKey(key), pinKey(key)].map((each) =>
			storage.stat(each, signal),
		),
	);
	if (!object && !manifest) {
		throw new LifeboatError('NOT_FOUND', `There is no backup ${key} in ${storage.description}`, {
			hint: 'List the backups to see which there are',
		});
	}
	return describeBackup(storage, { key, object, manifest, checksum, proof, pin }, signal);
}

/** The files that make up a backup, as far as they are there. */
export interface BackupFiles extends Partial<Record<Sidecar, StoredObject | undefined>> {
	key: string;
	object?: StoredObject | undefined;
}

/** Reads the manifest and compares it with what is there. A problem never throws, a failure of the storage does. */
export async function describeBackup(
	storage: Storage,
	{ key, object, manifest: manifestFile, checksum, ...marks }: BackupFiles,
	signal?: AbortSignal,
): Promise<StoredBackup> {
	const problems: string[] = [];
	let manifest: Manifest | undefined;
	if (!object) problems.push('object missing');
	if (!manifestFile) problems.push('manifest missing: the backup was never finished');
	else {
		try {
			manifest = await readManifest(storage, key, signal);
		} catch (error) {
			if (!(error instanceof LifeboatError) || !manifestProblems.has(error.code)) throw error;
			problems.push(error.code === 'NOT_FOUND' ? 'manifest missing' : messageOf(error));
		}
	}
	if (!checksum) problems.push('checksum sidecar missing');
	if (object && manifest && object.size !== manifest.stored.size) {
		problems.push(`the object has ${object.size} bytes, its manifest says ${manifest.stored.size}`);
	}
	return {
		key,
		size: object?.size ?? 0,
		...(object && manifest && isDatedAfterStored(manifest, object) && { storedBefore: object.modifiedAt }),
		...(manifest && { manifest }),
		...(problems.length > 0 && { problem: problems.join('; ') }),
		marks: await readMarks(storage, key, marks, manifest, signal),
	};
}

const DAY = 86_400_000;

/** No backup of ours is older: storages without a clock, or without times, tell such times. */
const EARLIEST = Date.parse('2020-01-01');

/**
 * A day is allowed for clocks that differ, and for servers that tell times of their own zone. Times that were set to later ones (by a copy)
 * say nothing.
 */
function isDatedAfterStored({ createdAt }: Manifest, { modifiedAt }: StoredObject): boolean {
	const stored = modifiedAt.getTime();
	return stored >= EARLIEST && Date.parse(createdAt) > stored + DAY;
}

/** Codes that tell of the manifest itself, not of the way to it. */
const manifestProblems = new Set([
	'MANIFEST_INVALID',
	'MANIFEST_TOO_NEW',
	'TOO_LARGE',
	'NOT_TEXT',
	'NOT_FOUND',
]);

async function readManifest(storage: Storage, key: string, signal?: AbortSignal): Promise<Manifest> {
	const text = await readText(storage, manifestKey(key), MAX_MANIFEST_SIZE, { signal });
	return parseManifestText(text, `manifest of ${key}`);
}

/**
 * The backup as an artifact. Its bytes are compared with the manifest while they are read: what differs ends in
 * `CHECKSUM_MISMATCH`, never in an end of stream.
 */
export function openBackup(
	storage: Storage,
	backup: { key: string; manifest: Manifest },
): Artifact & { manifest: Manifest } {
	return storedArtifact(backup.manifest, (signal) => storage.get(backup.key, { signal }));
}

/** Whether an error says that something isn't there. */
export function isNotFound(error: unknown): boolean {
	return codeOf(error) === 'NOT_FOUND';
}
