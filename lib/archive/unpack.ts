import { mkdir, open, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';

import { LifeboatError } from '../errors';
import { writeError } from '../streams/atomic-file';

import type { ExtractOptions } from './extract';
import { ExtractLog } from './extract-log';
import { inclusionMatcher, type Matcher } from './globs';
import { MetadataRestorer, SET_ID_BITS, type Attributes } from './metadata';
import { pathIn, safeName, staysInside, unsafe } from './safe-name';
import { stagedFiles } from './settle';
import { SpaceGuard } from './space';
import { Spool } from './spool';
import { StagedTree } from './staged-tree';
import type { EntryHeader } from './tar-header';
import type { TarEntry } from './tar-reader';

type LinkRecord = Pick<EntryHeader, 'type' | 'linkName'> & Attributes & { name: string };

type FolderRecord = Attributes & { name: string };

const MAX_ENTRIES = 10_000_000;

/** Folders that their owner may not work in are remembered; no honest archive has so many. */
const MAX_CLOSED_FOLDERS = 100_000;

const OWNER_BITS = 0o700;

/** Writes the entries of an archive into a tree of our own, in which no link leads anywhere until all else is written. */
export class Unpacker {
	readonly log = new ExtractLog();

	private entries = 0;

	private readonly isIncluded: Matcher;

	private readonly metadata: MetadataRestorer;

	private readonly space: SpaceGuard;

	private closedCount = 0;

	private readonly closedFolders = new Map<string, FolderRecord>();

	private constructor(
		private readonly tree: StagedTree,
		private readonly target: string,
		private readonly options: ExtractOptions,
		private readonly links: Spool<LinkRecord>,
		private readonly folders: Spool<FolderRecord>,
	) {
		this.isIncluded = options.include?.length ? inclusionMatcher(options.include) : () => true;
		this.metadata = new MetadataRestorer(options.restoreOwners ?? process.getuid?.() === 0, this.log);
		this.space = new SpaceGuard(target);
	}

	/** @param work an empty folder of our own. */
	static async create(work: string, target: string, options: ExtractOptions): Promise<Unpacker> {
		await mkdir(stagedFiles(work), { mode: 0o700 });
		const tree = await StagedTree.create(stagedFiles(work), target);
		const links = await Spool.create<LinkRecord>(join(work, 'links'));
		const folders = await Spool.create<FolderRecord>(join(work, 'folders'));
		const unpacker = new Unpacker(tree, target, options, links, folders);
		await unpacker.space.ensure(options.expectedBytes ?? 0);
		return unpacker;
	}

	/** Writes one entry. Links wait for `finishTree`. */
	async entry({ header, body }: TarEntry): Promise<void> {
		this.options.signal?.throwIfAborted();
		this.countEntry();
		const name = safeName(header.name);
		if (header.type === 'device') throw unsafe(header.name, 'is a device');
		if (name === '') {
			if (header.type !== 'folder') throw unsafe(header.name, 'would replace the target folder');
			return;
		}
		if (!this.isIncluded(name)) return;
		if (header.type === 'fifo') return this.log.skip(name, 'a pipe, not a file');
		await this.options.assertAllowed?.(pathIn(this.target, name));
		if (header.mode & SET_ID_BITS && header.type !== 'symlink') {
			this.log.skip(name, 'its set-user-ID or set-group-ID bit, which is never restored');
		}
		if (header.type === 'file') await this.file(name, header, body);
		else if (header.type === 'folder') await this.folder(name, header);
		else await this.link(name, header);
		const { bytes } = this.log.result;
		this.options.onProgress?.({ step: name, bytes, entries: this.entries });
	}

	/** Makes the links, once the archive has ended. @throws LifeboatError `NOTHING_TO_RESTORE` if nothing was unpacked. */
	async finishTree(): Promise<void> {
		const { result } = this.log;
		for await (const link of this.links.items()) {
			this.options.signal?.throwIfAborted();
			const text = link.type === 'symlink' ? link.linkName : await this.tree.linkText(link.linkName);
			if (text === undefined) throw missingTarget(link);
			if (!this.mayCreate(link.name, text)) continue;
			if (await this.tree.symlink(link.name, text)) result.links += 1;
			await this.metadata.link(link.name, this.tree.path(link.name), link);
		}
		result.folders = this.tree.folderCount;
		if (result.files + result.folders + result.links + result.skippedCount > 0) return;
		const hint =
			this.entries > 0
				? 'Correct the patterns of what to restore: they are compared with whole names in the archive'
				: 'Choose another backup';
		throw new LifeboatError('NOTHING_TO_RESTORE', 'The archive holds nothing that was to be restored', {
			hint,
		});
	}

	/** Gives the folders their owners, permissions and times, after everything has been moved to its place. */
	async finishFolders(): Promise<void> {
		for await (const folder of this.folders.items()) {
			// One that is still here was merged into a folder that was there before, whose attributes are to be kept.
			if (this.options.ifExists === 'keep' && (await this.tree.has(folder.name))) continue;
			if (isClosed(folder)) this.closedFolders.set(folder.name, folder);
			else this.closedFolders.delete(folder.name);
			await this.metadata.folder(folder.name, pathIn(this.target, folder.name), folder, OWNER_BITS);
		}
		// From the deepest up: in a closed folder nothing can be changed any more.
		const depth = ({ name }: FolderRecord) => name.split('/').length;
		for (const folder of [...this.closedFolders.values()].sort((a, b) => depth(b) - depth(a))) {
			await this.metadata.folder(folder.name, pathIn(this.target, folder.name), folder);
		}
	}

	async close(): Promise<void> {
		await this.links.close();
		await this.folders.close();
	}

	private countEntry(): void {
		this.entries += 1;
		const { maxEntries = MAX_ENTRIES } = this.options.limits ?? {};
		if (this.entries > maxEntries) throw tooMuch(`more than ${maxEntries} entries`);
	}

	private async file(name: string, header: EntryHeader, body: AsyncIterable<Buffer>): Promise<void> {
		const { result } = this.log;
		const { maxBytes = Infinity } = this.options.limits ?? {};
		if (result.bytes + header.size > maxBytes) throw tooMuch(`files of more than ${maxBytes} bytes`);
		await this.space.ensure(header.size);
		const { handle, isNew } = await this.tree.file(name);
		try {
			for await (const chunk of body) {
				await this.write(handle, chunk, name);
				result.bytes += chunk.length;
			}
			await this.metadata.file(name, handle, header);
		} finally {
			await handle.close();
		}
		if (isNew) result.files += 1;
	}

	private async write(handle: FileHandle, chunk: Buffer, name: string): Promise<void> {
		try {
			for (let written = 0; written < chunk.length;) {
				written += (await handle.write(chunk, written)).bytesWritten;
			}
		} catch (error) {
			throw writeError(error, pathIn(this.target, name));
		}
	}

	private async folder(name: string, header: EntryHeader): Promise<void> {
		await this.tree.folder(name);
		const record = { name, ...attributesOf(header) };
		if (isClosed(record) && ++this.closedCount > MAX_CLOSED_FOLDERS)
			throw tooMuch('too many folders that are closed to their owner');
		await this.folders.add(record);
	}

	private async link(name: string, header: EntryHeader): Promise<void> {
		let { linkName } = header;
		if (header.type === 'hardlink') {
			linkName = safeName(linkName);
			const { how, isNew } = await this.tree.hardlink(name, linkName);
			if (how === 'copied') await this.copyAttributes(name, header);
			if (isNew) this.log.result.files += 1;
			if (how !== 'later') return;
		} else {
			await this.tree.ensureParent(name);
			if (!this.mayCreate(name, linkName)) return;
		}
		await this.links.add({ name, type: header.type, linkName, ...attributesOf(header) });
	}

	/** Where there are no hard links, the copy has attributes of its own. */
	private async copyAttributes(name: string, header: EntryHeader): Promise<void> {
		const handle = await open(this.tree.path(name), 'r');
		try {
			await this.metadata.file(name, handle, header);
		} finally {
			await handle.close();
		}
	}

	private mayCreate(name: string, linkName: string): boolean {
		const { outsideLinks = 'refuse' } = this.options;
		if (linkName.includes('\0')) throw unsafe(name, 'is a link to a name with a zero byte');
		if (outsideLinks === 'keep' || staysInside(name, linkName, this.target)) return true;
		const problem = `leads out of the target folder, to ${JSON.stringify(linkName)}`;
		if (outsideLinks === 'skip') this.log.skip(name, `a link that ${problem}`);
		else {
			throw unsafe(
				name,
				`is a link that ${problem}`,
				'If this archive is yours and the link is meant to be so, choose to leave such links out or to keep them',
			);
		}
		return false;
	}
}

function isClosed({ mode }: Attributes): boolean {
	return (mode & OWNER_BITS) !== OWNER_BITS;
}

function attributesOf({ mode, uid, gid, mtime }: Attributes): Attributes {
	return { mode, uid, gid, mtime };
}

function tooMuch(what: string): LifeboatError {
	return new LifeboatError('LIMIT_EXCEEDED', `The archive was not unpacked: it holds ${what}`, {
		hint: 'If that is right, raise the limit',
	});
}

function missingTarget({ name, linkName }: LinkRecord): LifeboatError {
	return new LifeboatError(
		'LINK_TARGET_MISSING',
		`${JSON.stringify(name)} is another name of ${JSON.stringify(linkName)}, which was not unpacked`,
		{ hint: 'Restore that one, too: only there the archive has the content' },
	);
}
