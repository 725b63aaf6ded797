import { randomBytes } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';

import { writeFileAtomically } from '../streams/atomic-file';

import type { Artifact } from './artifact';
import { fileArtifact } from './file-artifact';
import { serializeManifest, type Manifest } from './manifest';
import { Readable } from 'node:stream';

/** An artifact whose file lies in a staging folder. */
export type StagedArtifact = Artifact & { manifest: Manifest; path: string };

/** The start of the name of every execution's folder, so that a sweep can tell what is ours. */
const FOLDER_PREFIX = 'lifeboat-execution-';

/** The folder in which one execution of a workflow keeps its backups between its nodes. */
export class StagingFolder {
	readonly path: string;

	constructor(
		readonly root: string,
		readonly executionId: string,
	) {
		this.path = join(root, FOLDER_PREFIX + executionId);
	}

	/** Makes the folder, 0700; one that is there already stays. */
	async create(): Promise<void> {
		await mkdir(this.path, { recursive: true, mode: 0o700 });
	}

	/** Writes an artifact to a file of its own, with its manifest beside it. Either all of it is there, or nothing. */
	async write(artifact: Artifact, signal?: AbortSignal): Promise<StagedArtifact> {
		const folder = join(this.path, randomBytes(6).toString('hex'));
		await mkdir(folder, { mode: 0o700 });
		try {
			const path = join(folder, artifact.draft.fileName);
			const opened = await artifact.open(signal);
			await writeFileAtomically(path, opened.stream, { signal });
			const manifest = await opened.finish();
			await writeFileAtomically(`${path}.manifest.json`, Readable.from([serializeManifest(manifest)]));
			return { ...fileArtifact(manifest, path), path };
		} catch (error) {
			await rm(folder, { recursive: true, force: true });
			throw error;
		}
	}

	/** Removes the folder and all in it. */
	async remove(): Promise<void> {
		await rm(this.path, { recursive: true, force: true });
	}
}
