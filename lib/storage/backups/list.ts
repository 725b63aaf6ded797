import { folderPrefix } from '../keys';
import type { Storage, StoredObject } from '../storage';

import { describeBackup, type BackupFiles, type StoredBackup } from './read';
import { sidecarSuffixes, type Sidecar } from './sidecars';

export interface ListBackupsOptions {
	/** A folder, with all below it; everything unless given. */
	prefix?: string;
	signal?: AbortSignal;
	/** Manifests read at once; 8 unless given. */
	concurrency?: number;
}

/**
 * The backups in a storage, read from their manifests. A backup whose manifest can't be read, or whose object is missing or has
 * another size, comes with a `problem`; files that belong to no backup, and uploads that never got their manifest, are left out.
 *
 * Memory doesn't grow with their number. They come in the order of their keys, save that one whose key begins with
 * another's (`a`, `a.sql`) comes before that other.
 */
export async function* listBackups(
	storage: Storage,
	{ prefix, signal, concurrency = 8 }: ListBackupsOptions = {},
): AsyncGenerator<StoredBackup> {
	const pending: Array<Promise<StoredBackup>> = [];
	try {
		for await (const files of groupFiles(storage, folderPrefix(prefix), signal)) {
			if (!files.manifest) continue;
			const described = describeBackup(storage, files, signal);
			// It is awaited in its turn; until then a failure must not count as unhandled.
			described.catch(() => {});
			pending.push(described);
			if (pending.length >= concurrency) yield await pending.shift()!;
		}
		while (pending.length > 0) yield await pending.shift()!;
	} finally {
		await Promise.allSettled(pending);
	}
}

/**
 * The files in a storage that belong to no backup: those of somebody else, and objects whose upload ended before their manifest was
 * written.
 */
export async function* listForeignFiles(
	storage: Storage,
	{ prefix, signal }: Pick<ListBackupsOptions, 'prefix' | 'signal'> = {},
): AsyncGenerator<StoredObject> {
	for await (const { object, manifest, besideBackup } of groupFiles(storage, folderPrefix(prefix), signal)) {
		if (object && !manifest && !besideBackup) yield object;
	}
}

/** The files whose keys begin with the first one's key and say, by their ends, that they are about it. */
interface FileGroup extends BackupFiles {
	/** Whether the first one is itself a file beside a backup. */
	besideBackup?: boolean;
}

const suffixes = Object.entries(sidecarSuffixes) as Array<[Sidecar, string]>;

/**
 * Brings together the files of each backup. In the order of UTF-8 bytes, all keys that begin with an object's key follow it
 * without a gap, so only the groups whose key is the beginning of the current one can still grow.
 */
async function* groupFiles(
	storage: Storage,
	prefix: string,
	signal?: AbortSignal,
): AsyncGenerator<FileGroup> {
	let open: FileGroup[] = [];
	const group = (key: string): FileGroup => {
		let found = open.find((candidate) => candidate.key === key);
		if (!found) {
			found = { key };
			open.push(found);
		}
		return found;
	};
	for await (const object of storage.list(prefix, signal)) {
		const done = open.filter(({ key }) => !object.key.startsWith(key));
		if (done.length > 0) {
			open = open.filter((each) => !done.includes(each));
			yield* done;
		}
		group(object.key).object = object;
		for (const [sidecar, suffix] of suffixes) {
			if (!object.key.endsWith(suffix)) continue;
			const about = group(object.key.slice(0, -suffix.length));
			about[sidecar] = object;
			// Of all files beside a backup, the manifest is listed first.
			if (about.manifest) group(object.key).besideBackup = true;
		}
	}
	yield* open;
}
