import type { BigIntStats } from 'node:fs';
import { readlink } from 'node:fs/promises';

import type { FilesSource } from '../artifact/manifest';
import { LifeboatError } from '../errors';
import { systemMessage } from '../streams/atomic-file';

import type { PackOptions } from './pack';
import { fileChanged, StableFile } from './read-file';
import { encodeEntry, END_OF_ARCHIVE, padding, type NewEntry } from './tar-writer';
import { isGone, type Found, type WalkEvents } from './walk';

/** The manifest names no more of what was left out; it counts them all. */
const MAX_NAMED = 1000;

/** Turns what a walk finds into the bytes of an archive, and keeps the policies on what can't be read or doesn't hold still. */
export class ArchiveWriter implements WalkEvents {
	private fileCount = 0;

	private folderCount = 0;

	private linkCount = 0;

	private bytes = 0;

	private readonly skipped: { path: string; reason: string }[] = [];

	private skippedCount = 0;

	private readonly changed: string[] = [];

	private changedCount = 0;

	/** Files with several names, by device, inode and birth: the name that came first. */
	private readonly firstNames = new Map<string, string>();

	readonly assertAllowed: (path: string) => Promise<void>;

	constructor(private readonly options: PackOptions) {
		this.assertAllowed = options.assertAllowed ?? (async () => {});
	}

	onUnreadable(path: string, error: unknown): void {
		if (error instanceof LifeboatError) throw error;
		if (this.options.ifUnreadable === 'skip-and-report') return this.onSkipped(path, systemMessage(error));
		throw new LifeboatError('READ_FAILED', `${path} could not be read: ${systemMessage(error)}`, {
			hint: 'Let the user n8n runs as read it, exclude it, or choose to skip and report what cannot be read',
			cause: error,
		});
	}

	onVanished(path: string): void {
		this.leaveOut(path, 'was removed');
	}

	onSkipped(path: string, reason: string): void {
		this.skippedCount += 1;
		if (this.skipped.length < MAX_NAMED) this.skipped.push({ path, reason });
	}

	/** The bytes of one entry; none if it is left out. */
	async *entry({ path, name, stats }: Found): AsyncGenerator<Buffer, void, undefined> {
		if (stats.isFile()) yield* this.file(path, name, stats);
		else if (stats.isDirectory()) {
			this.folderCount += 1;
			yield encodeEntry({ ...metadata(stats), type: 'Directory', name: name || '.', size: 0 });
		} else if (stats.isSymbolicLink()) yield* this.symlink(path, name, stats);
		else
			this.onSkipped(
				path,
				`a ${stats.isSocket() ? 'socket' : stats.isFIFO() ? 'pipe' : 'device'}, not a file`,
			);
		this.options.onProgress?.({
			step: name,
			bytes: this.bytes,
			entries: this.fileCount + this.folderCount + this.linkCount,
		});
	}

	/** The end of the archive. @throws LifeboatError `NOTHING_TO_ARCHIVE` if it holds no file. */
	*end(): Generator<Buffer, void, undefined> {
		if (this.fileCount === 0 && !this.options.allowEmpty) {
			throw new LifeboatError('NOTHING_TO_ARCHIVE', `There is no file in ${this.options.paths.join(', ')}`, {
				hint: 'An empty backup would pass for a good one. If the files are on a disk of their own, check that it is mounted (into the container, too)',
			});
		}
		yield END_OF_ARCHIVE;
	}

	/** What the manifest says of the archive's content. */
	summary(): Partial<FilesSource> {
		const { fileCount, folderCount, linkCount, skipped, skippedCount, changed, changedCount } = this;
		return {
			...{ fileCount, folderCount, linkCount },
			...(skippedCount > 0 ? { skipped, skippedCount } : {}),
			...(changedCount > 0 ? { changed, changedCount } : {}),
		};
	}

	private async *file(
		path: string,
		name: string,
		found: BigIntStats,
	): AsyncGenerator<Buffer, void, undefined> {
		// The number of a file that is removed meanwhile may be given to a new one: it must not pass for a name of the old one.
		const inode = `${found.dev}:${found.ino}:${found.birthtimeNs}`;
		const firstName = found.nlink > 1n ? this.firstNames.get(inode) : undefined;
		if (firstName !== undefined) {
			this.fileCount += 1;
			return yield encodeEntry({ ...metadata(found), type: 'Link', name, linkName: firstName, size: 0 });
		}
		let file: StableFile | undefined;
		try {
			file = await StableFile.open(path, found);
		} catch (error) {
			return isGone(error) ? this.onVanished(path) : this.onUnreadable(path, error);
		}
		if (!file) return this.leaveOut(path, 'was replaced');
		try {
			// A file that was read whole and kept changing is refused before anything of it is written.
			if (file.hasChanged) this.noteChanged(path);
			const isNoted = file.hasChanged;
			yield encodeEntry({ ...metadata(file.stats), type: 'File', name, size: file.size });
			yield* this.content(file, path);
			yield padding(file.size);
			if (file.hasChanged && !isNoted) this.noteChanged(path);
		} finally {
			await file.close();
		}
		this.fileCount += 1;
		this.bytes += file.size;
		if (found.nlink > 1n) this.firstNames.set(inode, name);
	}

	/** From here on an unreadable file can't be skipped any more: its size is in the archive. */
	private async *content(file: StableFile, path: string): AsyncGenerator<Buffer, void, undefined> {
		try {
			yield* file.read();
		} catch (error) {
			if (error instanceof LifeboatError) throw error;
			throw new LifeboatError(
				'READ_FAILED',
				`${path} could not be read to its end: ${systemMessage(error)}`,
				{
					hint: 'Check the disk it lies on',
					cause: error,
				},
			);
		}
	}

	private async *symlink(
		path: string,
		name: string,
		stats: BigIntStats,
	): AsyncGenerator<Buffer, void, undefined> {
		let linkName: string;
		try {
			const raw = await readlink(path, { encoding: 'buffer' });
			linkName = raw.toString('utf8');
			if (!Buffer.from(linkName).equals(raw)) throw new Error('the path it points to is not valid UTF-8');
		} catch (error) {
			return isGone(error) ? this.onVanished(path) : this.onUnreadable(path, error);
		}
		this.linkCount += 1;
		yield encodeEntry({ ...metadata(stats), type: 'SymbolicLink', name, linkName, size: 0 });
	}

	private leaveOut(path: string, how: string): void {
		if (this.failsOnChange()) throw fileChanged(path, how);
		this.onSkipped(path, `${how} while it was read`);
	}

	private noteChanged(path: string): void {
		if (this.failsOnChange()) throw fileChanged(path, 'was written to');
		this.changedCount += 1;
		if (this.changed.length < MAX_NAMED) this.changed.push(path);
	}

	private failsOnChange(): boolean {
		const { ifUnreadable, ifChanged = ifUnreadable === 'skip-and-report' ? 'report' : 'fail' } = this.options;
		return ifChanged === 'fail';
	}
}

function metadata(stats: BigIntStats): Pick<NewEntry, 'mode' | 'uid' | 'gid' | 'mtimeNs'> {
	return {
		mode: Number(stats.mode & 0o7777n),
		uid: Number(stats.uid),
		gid: Number(stats.gid),
		mtimeNs: stats.mtimeNs,
	};
}
