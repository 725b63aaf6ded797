import { createHash, randomBytes } from 'node:crypto';
import { chmod, lstat, mkdir, opendir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';

import { codeOf, LifeboatError } from '../errors';
import { writeError, writeFileAtomically } from '../streams/atomic-file';

import type { Artifact } from './artifact';
import { fileArtifact } from './file-artifact';
import { serializeManifest, type Manifest } from './manifest';

/** An artifact whose file lies in a staging folder. */
export type StagedArtifact = Artifact & { manifest: Manifest; path: string };

/** The start of the name of every execution's folder, so that a sweep can tell what is ours. */
const FOLDER_PREFIX = 'lifeboat-execution-';

/** Folders that others still write to while they are removed are tried again. */
const removal = { recursive: true, force: true, maxRetries: 5, retryDelay: 50 } as const;

/** The folder in which one execution of a workflow keeps its backups between its nodes: 0700, its files 0600. */
export class StagingFolder {
	readonly path: string;

	/** @param root an absolute path that n8n's file rules allow; shared by all executions. */
	constructor(
		readonly root: string,
		readonly executionId: string,
	) {
		this.path = join(root, FOLDER_PREFIX + asFileName(executionId));
	}

	/**
	 * Makes the folder, and the root if need be. One that is there already stays.
	 *
	 * @throws LifeboatError `WRITE_FAILED`, `DISK_FULL` or, if something else has its name, `TARGET_CONFLICT`.
	 */
	async create(): Promise<void> {
		try {
			await mkdir(this.path, { recursive: true, mode: 0o700 });
		} catch (error) {
			throw writeError(error, this.path);
		}
		if (!(await lstat(this.path)).isDirectory()) {
			throw new LifeboatError('TARGET_CONFLICT', `${this.path} is not a folder`, {
				hint: 'Remove it: staged backups must not be written through a link',
			});
		}
		await chmod(this.path, 0o700);
	}

	/**
	 * Writes an artifact to a file under its own name, with its manifest beside it as `<name>.manifest.json`. Either both are there in the
	 * end, or nothing is; artifacts of the same name don't meet. The folder must have been created.
	 *
	 * @throws LifeboatError `DISK_FULL`, `WRITE_FAILED`; what the artifact throws passes unchanged.
	 */
	async write(artifact: Artifact, signal?: AbortSignal): Promise<StagedArtifact> {
		signal?.throwIfAborted();
		const folder = join(this.path, randomBytes(6).toString('hex'));
		const path = join(folder, artifact.draft.fileName);
		try {
			await mkdir(folder, { mode: 0o700 });
			const opened = await artifact.open(signal);
			await writeFileAtomically(path, opened.stream, { signal });
			const manifest = await opened.finish();
			const text = Readable.from([serializeManifest(manifest)]);
			await writeFileAtomically(`${path}.manifest.json`, text, { signal });
			return { ...fileArtifact(manifest, path), path };
		} catch (error) {
			await rm(folder, removal);
			throw writeError(error, path);
		}
	}

	/** Removes the folder and all in it; no error if it isn't there. */
	async remove(): Promise<void> {
		await rm(this.path, removal);
	}
}

/**
 * Removes what executions left behind that ended without cleaning up: folders named as ours in which nothing is as new as the given time.
 * Links are not followed; anything else in the root stays.
 *
 * @returns the paths of the folders removed.
 */
export async function sweepStaging(root: string, olderThan: Date): Promise<string[]> {
	const removed: string[] = [];
	for (const name of await foldersIn(root)) {
		const path = join(root, name);
		if (!(await isOlder(path, olderThan))) continue;
		await rm(path, removal);
		removed.push(path);
	}
	return removed;
}

async function foldersIn(root: string): Promise<string[]> {
	const names: string[] = [];
	try {
		for await (const entry of await opendir(root)) {
			if (entry.isDirectory() && entry.name.startsWith(FOLDER_PREFIX)) names.push(entry.name);
		}
	} catch (error) {
		if (codeOf(error) !== 'ENOENT') throw error;
	}
	return names.sort();
}

/** Whether all of it is older, its contents too: a long dump keeps only its own file new. */
async function isOlder(path: string, time: Date): Promise<boolean> {
	try {
		const stats = await lstat(path);
		if (stats.mtime >= time) return false;
		if (!stats.isDirectory()) return true;
		for await (const entry of await opendir(path)) {
			if (!(await isOlder(join(path, entry.name), time))) return false;
		}
		return true;
	} catch (error) {
		// It has just been removed, by its own execution or another sweep.
		if (codeOf(error) === 'ENOENT') return false;
		throw error;
	}
}

/** n8n's ids are numbers; anything else that could mean something in a path is hashed. */
function asFileName(id: string): string {
	return /^[\w-]{1,100}$/.test(id) ? id : createHash('sha256').update(id).digest('hex').slice(0, 32);
}
