import { Readable } from 'node:stream';

import type { Artifact } from '../artifact/artifact';
import { produceArtifact, type ManifestFindings } from '../artifact/produce';
import { LifeboatError } from '../errors';

import { ArchiveWriter } from './archive-writer';
import { coalesce } from './coalesce';
import { selectSources } from './sources';
import { walk } from './walk';

/** What packing and unpacking tell while they work. */
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
	/** Absolute paths of files and folders, or globs, resolved and allowed by the caller. A folder stands for all it holds. */
	paths: readonly string[];
	/** Globs of what to leave out. One that does not start with `/` matches at any depth. */
	exclude?: readonly string[];
	/**
	 * Names in the archive are relative to this folder. Unless given, it is the deepest one that holds the parents of all paths: `/srv/shop`
	 * becomes `shop/...`, and `/srv/shop/*.json` becomes `a.json`.
	 */
	baseFolder?: string;
	/**
	 * Whether a folder's own name is part of the names, as `tar -C /srv -c shop` has it; `true` unless given. With `false`, `/srv/shop` alone becomes
	 * `a.json`: what is unpacked into the deepest folder that all paths have in common is what was there.
	 */
	includeFolderName?: boolean;
	/** Whether names that start with a dot go in; `true` unless given. A path that is named goes in always. */
	includeHidden?: boolean;
	/** Symbolic links are packed as links, never followed. */
	followSymlinks?: false;
	/** Asked for each file and folder before it is read. Throws to refuse. */
	assertAllowed?: (path: string) => Promise<void>;
	/** A file or folder that can't be read: fail (default), or leave it out and name it in the manifest. */
	ifUnreadable?: 'fail' | 'skip-and-report';
	/**
	 * A file that vanishes, or is written to, while it is read: fail, or name it in the manifest. As `ifUnreadable` unless given. A large one
	 * that becomes shorter fails always, for its size is in the archive already.
	 */
	ifChanged?: 'fail' | 'report';
	/** Whether an archive without a single file is fine. Otherwise it fails: the usual reason is a disk that isn't mounted. */
	allowEmpty?: boolean;
	/** Called for every entry; the receiver throttles. */
	onProgress?: (progress: ArchiveProgress) => void;
}

/**
 * Files and folders as a tar archive (ustar, with pax headers for what that can't hold). Nothing is read before it is opened.
 *
 * Kept: names, contents, permission bits, numeric owners, modification times to the nanosecond, empty folders, symbolic links as links, hard
 * links. Not kept: extended attributes and access control lists. Sockets, pipes and devices are left out and named in the manifest.
 *
 * The stream fails with `NOT_FOUND`, `NOTHING_TO_ARCHIVE`, `READ_FAILED`, `FILE_CHANGED`, `INVALID_PATH`, or what `assertAllowed` throws.
 */
export function packFiles(options: PackOptions): Artifact {
	const { name, now, paths, exclude } = options;
	const source = {
		type: 'files' as const,
		paths: [...paths],
		...(exclude?.length ? { exclude: [...exclude] } : {}),
	};
	return produceArtifact({ name, kind: 'files', format: 'tar', source, now, extension: '.tar' }, async () => {
		const selection = await selectSources(options);
		const writer = new ArchiveWriter(options);
		let findings: ManifestFindings | undefined;
		async function* bytes() {
			for await (const found of walk(selection, writer)) yield* writer.entry(found);
			yield* writer.end();
			findings = { source: { ...source, ...writer.summary() } };
		}
		return {
			stream: Readable.from(coalesce(bytes()), { objectMode: false, highWaterMark: 1024 * 1024 }),
			async finish() {
				if (findings) return findings;
				throw new LifeboatError('INCOMPLETE', `The archive ${name} was not written to its end`, {
					hint: 'Run the node again',
				});
			},
		};
	});
}
