import type { Readable } from 'node:stream';

import { LifeboatError } from '../errors';

import type { ArchiveProgress } from './pack';

export interface ExtractOptions {
	/** What to do where the target holds something: stop unless it is empty or absent (default), replace or keep existing files. */
	ifExists?: 'stop' | 'replace' | 'keep';
	/** Globs over the names in the archive; everything unless given. */
	include?: readonly string[];
	/** Asked for each path under the target before anything is written for it. Throws to refuse. */
	assertAllowed?: (path: string) => Promise<void>;
	/** Symbolic links that lead outside the target: refuse the archive (default), leave them out, or create them as they are. */
	outsideLinks?: 'refuse' | 'skip' | 'keep';
	/** Whether to restore numeric owners; as root only. */
	restoreOwners?: boolean;
	limits?: { maxBytes?: number; maxEntries?: number };
	/** Bytes that will be written, where known: free space is checked before the first. */
	expectedBytes?: number;
	signal?: AbortSignal;
	onProgress?: (progress: ArchiveProgress) => void;
}

export interface ExtractReport {
	files: number;
	folders: number;
	links: number;
	/** Bytes of file content. */
	bytes: number;
	/** What was left out, and why; the first thousand. */
	skipped: { path: string; reason: string }[];
	/** How many were left out in all. */
	skippedCount: number;
}

/** Unpacks a tar archive into a folder. On failure or abort the target is as it was. */
export async function extractFiles(
	_source: Readable,
	_target: string,
	_options: ExtractOptions = {},
): Promise<ExtractReport> {
	throw new LifeboatError('NOT_READY', 'Extraction is not written yet');
}
