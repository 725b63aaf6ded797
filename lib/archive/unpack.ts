import { mkdir, open, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';

import { LifeboatError } from '../errors';
import { writeError } from '../streams/atomic-file';

import type { ExtractOptions } from './extract';
import { ExtractLog } from './extract-log';
import { Inclusion } from './globs';
import { tooMuch } from './limits';
import { MetadataRestorer, SET_ID_BITS, type Attributes } from './metadata';
import { RestoredFolders } from './restored-folders';
import { pathIn, safeName, staysInside, unsafe } from './safe-name';
import { stagedFiles } from './settle';
import { SpaceGuard } from './space';
import { Spool } from './spool';
import { StagedTree } from './staged-tree';
import type { EntryHeader } from './tar-header';
import type { TarEntry } from './tar-reader';

type LinkRecord = Pick<EntryHeader, 'type' | 'linkName'> & Attributes & { name: string };

const MAX_ENTRIES = 10_000_000;

/** Writes the entries of an archive into a tree of our own, in which no link leads anywhere until all else is written. */
export class Unpacker {
	readonly log = new ExtractLog();

	private entries = 0;

	private readonly inclusion: Inclusion;

	private readonly metadata: MetadataRestorer;

	private readonly space: SpaceGuard;

	private constructor(
		private readonly tree: StagedTree,
		private readonly target: string,
		private readonly options: ExtractOptions,
		private readonly links: Spool<LinkRecord>,
		private readonly folders: RestoredFolders,
	) {
		this.inclusion = new Inclusion(options.include ?? []);
		this.metadata = new MetadataRestorer(options.restoreOwners ?? process.getuid?.() === 0, this.log);
		this.space = new SpaceGuard(target);
	}

	/** @param work an empty folder of our own. */
	static async create(work: string, target: string, options: ExtractOptions): Promise<Unpacker> {
		await mkdir(stagedFiles(work), { mode: 0o700 });
		const tree = await StagedTree.create(stagedFiles(work), target);
		const links = await Spool.create<LinkRecord>(join(work, 'links'));
		const folders = await RestoredFolders.create(work);
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
		if (!this.inclusion.takes(name)) return;
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

	/** Makes the links, once the archive has ended. @throws LifeboatError `NOTHING_TO_RESTORE` if nothing was unpacked, or a pattern has found nothing. */
	async finishTree(): Promise<void> {
		const { result } = this.log;
		const [idle] = this.inclusion.idle;
		if (idle !== undefined) {
			throw new LifeboatError(
				'NOTHING_TO_RESTORE',
				`Nothing in the archive matches ${JSON.stringify(idle)}`,
				{
					hint: 'Correct or remove this pattern: it is compared with whole names in the archive',
				},
			);
		}
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
		throw new LifeboatError('NOTHING_TO_RESTORE', 'The archive holds nothing', {
			hint: 'Choose another backup',
		});
	}

	/** Gives the folders their owners, permissions and times, after everything has been moved to its place. */
	async finishFolders(): Promise<void> {
		await this.folders.finish(this.tree, this.target, this.options.ifExists, this.metadata);
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
		await this.folders.add(name, header);
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

function attributesOf({ mode, uid, gid, mtime }: Attributes): Attributes {
	return { mode, uid, gid, mtime };
}

function missingTarget({ name, linkName }: LinkRecord): LifeboatError {
	return new LifeboatError(
		'LINK_TARGET_MISSING',
		`${JSON.stringify(name)} is another name of ${JSON.stringify(linkName)}, which was not unpacked`,
		{ hint: 'Restore that one, too: only there the archive has the content' },
	);
}
