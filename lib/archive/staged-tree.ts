import { constants, type Stats } from 'node:fs';
import {
	copyFile,
	link,
	lstat,
	mkdir,
	open,
	readdir,
	readlink,
	rm,
	symlink,
	unlink,
	type FileHandle,
} from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

import { codeOf, LifeboatError } from '../errors';
import { writeError } from '../streams/atomic-file';

import { pathIn, unsafe } from './safe-name';

/**
 * A tree of files being built in an empty folder of our own. Whatever an archive says, nothing in it is written through a link or over
 * something of another kind: each folder on the way to an entry is one that was made here.
 *
 * An entry that comes again takes the place of the earlier one, as tar does it, if it is of the same kind.
 */
export class StagedTree {
	/** Folders made, those that the archive only implies included. */
	folderCount = 0;

	/** The folder that was last seen to be there. */
	private knownFolder = '';

	private constructor(
		private readonly root: string,
		private readonly target: string,
		/** Whether two names that differ may be one file. */
		private readonly foldsNames: boolean,
	) {}

	/** @param target where the tree will go: for messages. */
	static async create(root: string, target: string): Promise<StagedTree> {
		const probe = join(root, 'case');
		await (await open(probe, 'wx', 0o600)).close();
		try {
			return new StagedTree(root, target, await isThere(join(root, 'CASE')));
		} finally {
			await rm(probe);
		}
	}

	path(name: string): string {
		return pathIn(this.root, name);
	}

	async has(name: string): Promise<boolean> {
		return await isThere(this.path(name));
	}

	/** A new file, to be closed by the caller. */
	async file(name: string): Promise<{ handle: FileHandle; isNew: boolean }> {
		await this.ensureParent(name);
		let handle: FileHandle | undefined;
		const isNew = await this.place(name, 'file', async (path) => {
			handle = await open(path, 'wx', 0o600);
		});
		return { handle: handle!, isNew };
	}

	async folder(name: string): Promise<void> {
		await this.ensureParent(name);
		await this.makeFolder(name, 0o700);
	}

	/** What a link needs that is made later. */
	async ensureParent(name: string): Promise<void> {
		const end = name.lastIndexOf('/');
		const parent = end === -1 ? '' : name.slice(0, end);
		if (parent === '' || parent === this.knownFolder || this.knownFolder.startsWith(`${parent}/`)) return;
		const parts = parent.split('/');
		for (let depth = 1; depth <= parts.length; depth++) {
			const folder = parts.slice(0, depth).join('/');
			if (folder !== this.knownFolder && !this.knownFolder.startsWith(`${folder}/`))
				await this.makeFolder(folder, 0o755);
		}
		this.knownFolder = parent;
	}

	/** @returns whether it is the first of its name. */
	async symlink(name: string, text: string): Promise<boolean> {
		return await this.place(name, 'link', (path) => symlink(text, path));
	}

	/**
	 * A second name for a file that was written before.
	 *
	 * @returns `later` if there is no such file; it may be a link that is made later. `copied` where the file system has no hard links.
	 */
	async hardlink(name: string, to: string): Promise<{ how: 'linked' | 'copied' | 'later'; isNew: boolean }> {
		if (to === name) throw unsafe(name, 'is a link to itself');
		await this.ensureParent(name);
		const stats = await lstatIfThere(this.path(to));
		if (!stats || stats.isSymbolicLink()) return { how: 'later', isNew: false };
		if (!stats.isFile()) throw unsafe(name, `is a hard link to ${JSON.stringify(to)}, which is no file`);
		let how: 'linked' | 'copied' = 'linked';
		const isNew = await this.place(name, 'file', async (path) => {
			try {
				await link(this.path(to), path);
			} catch (error) {
				if (!['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK'].includes(codeOf(error) ?? ''))
					throw error;
				await copyFile(this.path(to), path, constants.COPYFILE_EXCL);
				how = 'copied';
			}
		});
		return { how, isNew };
	}

	/** The text of a link that has been made; undefined if there is none of that name. */
	async linkText(name: string): Promise<string | undefined> {
		const stats = await lstatIfThere(this.path(name));
		return stats?.isSymbolicLink() ? await readlink(this.path(name)) : undefined;
	}

	private async makeFolder(name: string, mode: number): Promise<void> {
		try {
			await mkdir(this.path(name), { mode });
			this.folderCount += 1;
		} catch (error) {
			await this.requireSame(name, 'folder', error);
		}
	}

	/** Makes something under a name; what the archive had there before, if it is of the same kind, gives way. */
	private async place(
		name: string,
		kind: 'file' | 'link',
		make: (path: string) => Promise<void>,
	): Promise<boolean> {
		const path = this.path(name);
		try {
			await make(path);
			return true;
		} catch (error) {
			await this.requireSame(name, kind, error);
		}
		try {
			await unlink(path);
			await make(path);
			return false;
		} catch (error) {
			throw writeError(error, pathIn(this.target, name));
		}
	}

	private async requireSame(name: string, kind: 'file' | 'folder' | 'link', error: unknown): Promise<void> {
		if (codeOf(error) !== 'EEXIST') throw writeError(error, pathIn(this.target, name));
		const stats = await lstat(this.path(name));
		const found = stats.isDirectory() ? 'folder' : stats.isSymbolicLink() ? 'link' : 'file';
		const siblings = this.foldsNames ? await readdir(dirname(this.path(name))) : undefined;
		if (siblings && !siblings.includes(basename(this.path(name)))) {
			throw new LifeboatError(
				'NAME_COLLISION',
				`The archive holds ${JSON.stringify(name)} and another entry whose name is the same on this file system`,
				{ hint: 'Restore to a file system that tells upper and lower case apart' },
			);
		}
		if (found !== kind) throw unsafe(name, `is a ${kind}, but was a ${found} before`);
	}
}

/** What lies under a path, links not followed; undefined if nothing does. */
export async function lstatIfThere(path: string): Promise<Stats | undefined> {
	try {
		return await lstat(path);
	} catch (error) {
		if (codeOf(error) === 'ENOENT') return undefined;
		throw error;
	}
}

async function isThere(path: string): Promise<boolean> {
	return (await lstatIfThere(path)) !== undefined;
}
