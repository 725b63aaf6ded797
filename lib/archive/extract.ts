import { mkdir, mkdtemp, readdir, realpath, rm, rmdir, stat } from 'node:fs/promises';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { type Readable } from 'node:stream';

import { abortable } from '../streams/chain';
import { codeOf, LifeboatError } from '../errors';
import { TEMPORARY_PREFIX, writeError } from '../streams/atomic-file';

import type { ArchiveProgress } from './pack';
import { moveIntoPlace } from './settle';
import { readTar } from './tar-reader';
import type { EntryHeader } from './tar-header';
import { Unpacker } from './unpack';

export interface ExtractOptions {
	/**
	 * What to do where the target holds something: stop unless it is empty or absent (default), or replace or keep the files that are there.
	 * Folders are merged. Something of another kind than the archive's (a file where it has a folder, a link to elsewhere) stops always.
	 */
	ifExists?: 'stop' | 'replace' | 'keep';
	/** Globs over the names in the archive; everything unless given. A folder that matches stands for all it holds. */
	include?: readonly string[];
	/** Asked for the target and for each path in it before anything is written for it. Throws to refuse. */
	assertAllowed?: (path: string) => Promise<void>;
	/** Symbolic links that lead out of the target: refuse the archive (default), leave them out, or create them as they are. */
	outsideLinks?: 'refuse' | 'skip' | 'keep';
	/** Whether to restore numeric owners. Only root can; root does unless told otherwise. */
	restoreOwners?: boolean;
	limits?: {
		/** Bytes of file content. Unlimited unless given, but for the free space. */
		maxBytes?: number;
		/** Ten million unless given. */
		maxEntries?: number;
	};
	/** Bytes that will be written, where known: whether they fit is checked before the first. */
	expectedBytes?: number;
	signal?: AbortSignal;
	/** Called for every entry; the receiver throttles. */
	onProgress?: (progress: ArchiveProgress) => void;
}

export interface ExtractReport {
	files: number;
	folders: number;
	/** Symbolic links. Hard links count as files. */
	links: number;
	/** Bytes of file content. */
	bytes: number;
	/** What was left out, be it an entry or only its owner or permissions, and why: the first thousand. */
	skipped: { path: string; reason: string }[];
	/** How many were left out in all. */
	skippedCount: number;
}

/**
 * Unpacks a tar archive into a folder. All of it is written to a folder of our own inside the target first, and moved to its place only when the
 * archive has ended as it should: on failure or abort the target is as it was.
 *
 * Nothing can be written outside the target: absolute names, `..` and devices are refused, and symbolic links are made only after everything
 * else, so that no entry can be written through one. Set-user-ID and set-group-ID bits are dropped.
 *
 * @param source is destroyed on failure.
 * @param target absolute; made if it is absent.
 * @throws LifeboatError `NOT_EMPTY`, `ALREADY_EXISTS`, `TARGET_CONFLICT`, `UNSAFE_ENTRY`, `NAME_COLLISION`, `LIMIT_EXCEEDED`, `DISK_FULL`,
 * `WRITE_FAILED`, `NOTHING_TO_RESTORE`, and those of `readTar`; `ROLLBACK_FAILED` if what was replaced could not be put back.
 */
export async function extractFiles(
	source: Readable,
	target: string,
	options: ExtractOptions = {},
): Promise<ExtractReport> {
	abortable(source, options.signal);
	let prepared: PreparedTarget | undefined;
	let work: string | undefined;
	let isDone = false;
	try {
		checkOptions(target, options);
		prepared = await prepareTarget(target, options);
		work = await mkdtemp(join(prepared.path, `${TEMPORARY_PREFIX}restore-`));
		const report = await extractInto(source, prepared.path, work, options);
		isDone = true;
		return report;
	} catch (error) {
		source.destroy();
		// What was replaced lies in there, and only there.
		if (error instanceof LifeboatError && error.code === 'ROLLBACK_FAILED') work = undefined;
		throw writeError(error, target);
	} finally {
		if (work) await rm(work, { recursive: true, force: true });
		if (prepared && !isDone) await removeCreated(prepared);
	}
}

/** The entries of an archive, read to its end. @throws as `readTar`. */
export async function* listArchive(source: Readable): AsyncGenerator<EntryHeader, void, undefined> {
	for await (const { header } of readTar(source)) yield header;
}

async function extractInto(
	source: Readable,
	target: string,
	work: string,
	options: ExtractOptions,
): Promise<ExtractReport> {
	const unpacker = await Unpacker.create(work, target, options);
	try {
		for await (const entry of readTar(source)) await unpacker.entry(entry);
		await unpacker.finishTree();
		await moveIntoPlace(work, target, options, unpacker.log);
		await unpacker.finishFolders();
		return unpacker.log.result;
	} finally {
		await unpacker.close();
	}
}

interface PreparedTarget {
	path: string;
	/** The topmost folder that had to be made. */
	created: string | undefined;
}

function checkOptions(target: string, { restoreOwners }: ExtractOptions): void {
	if (!isAbsolute(target)) {
		throw new LifeboatError('INVALID_PATH', `The target ${target} is not an absolute path`, {
			hint: 'Give the whole path, starting at the root folder',
		});
	}
	if (restoreOwners && process.getuid?.() !== 0) {
		throw new LifeboatError('INVALID_OPTION', 'Owners can be restored by root only', {
			hint: 'Turn the option off: files then belong to the user n8n runs as',
		});
	}
}

async function prepareTarget(target: string, options: ExtractOptions): Promise<PreparedTarget> {
	await options.assertAllowed?.(target);
	const wanted = resolve(target);
	const created = await mkdir(wanted, { recursive: true, mode: 0o700 });
	const path = await realpath(wanted);
	if (!(await stat(path)).isDirectory()) {
		throw new LifeboatError('TARGET_CONFLICT', `${target} is not a folder`, {
			hint: 'Choose a folder to restore into',
		});
	}
	if ((options.ifExists ?? 'stop') === 'stop') {
		const [first] = await readdir(path);
		if (first !== undefined) {
			const isOurs = first.startsWith(TEMPORARY_PREFIX);
			throw new LifeboatError('NOT_EMPTY', `The target folder ${target} is not empty: it holds ${first}`, {
				hint: isOurs
					? 'That was left by a restore that was interrupted. Look into it, and remove it'
					: 'Choose an empty folder, or choose to replace or keep what is there',
			});
		}
	}
	return { path, created };
}

/** Folders that were made for nothing. What somebody has put into them meanwhile keeps them. */
async function removeCreated({ path, created }: PreparedTarget): Promise<void> {
	if (created === undefined) return;
	const top = dirname(created);
	for (let folder = path; folder !== top && folder !== dirname(folder); folder = dirname(folder)) {
		try {
			await rmdir(folder);
		} catch (error) {
			if (['ENOTEMPTY', 'EEXIST', 'ENOENT'].includes(codeOf(error) ?? '')) return;
			throw error;
		}
	}
}
