import type { Artifact } from '../artifact/artifact';
import { LifeboatError } from '../errors';

/** What packing tells while it works. */
export interface ArchiveProgress {
	/** The entry at hand, by its name in the archive. */
	step: string;
	/** Bytes of file content so far. */
	bytes: number;
	/** Entries so far. */
	entries: number;
}

export interface PackOptions {
	/** The name of the job. */
	name: string;
	/** When the backup begins. */
	now: Date;
	/** Absolute paths of files and folders, or globs, resolved and allowed by the caller. */
	paths: readonly string[];
	/** Globs of what to leave out. One without a slash matches names at any depth, others match whole absolute paths. */
	exclude?: readonly string[];
	/** Names in the archive are relative to this folder. The deepest folder that holds all paths, unless given. */
	baseFolder?: string;
	/** Whether names that start with a dot go in; `true` unless given. Paths given by name always do. */
	includeHidden?: boolean;
	/** Symbolic links are packed as links, never followed. */
	followSymlinks?: false;
	/** Asked for each entry before it is read. Throws to refuse. */
	assertAllowed?: (path: string) => Promise<void>;
	/** A file or folder that can't be read: fail (default), or leave it out and name it in the manifest. */
	ifUnreadable?: 'fail' | 'skip-and-report';
	/** A file that changes or vanishes while it is read: fail (default), or name it in the manifest. */
	ifChanged?: 'fail' | 'report';
	/** Called for every entry; the receiver throttles. */
	onProgress?: (progress: ArchiveProgress) => void;
}

/** Files and folders as a tar archive. Nothing is read before the artifact is opened. */
export function packFiles(_options: PackOptions): Artifact {
	throw new LifeboatError('NOT_READY', 'Packing is not written yet');
}
