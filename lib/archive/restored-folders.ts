import { join } from 'node:path';

import type { ExtractOptions } from './extract';
import { tooMuch } from './limits';
import type { Attributes, MetadataRestorer } from './metadata';
import { pathIn } from './safe-name';
import { Spool } from './spool';
import type { StagedTree } from './staged-tree';

type FolderRecord = Attributes & { name: string };

/** Folders that their owner may not work in are remembered; no honest archive has so many. */
const MAX_CLOSED = 100_000;

const OWNER_BITS = 0o700;

/** What the archive says of its folders: they get it last of all, for in some nothing can be written any more then. */
export class RestoredFolders {
	private closedCount = 0;

	private readonly closed = new Map<string, FolderRecord>();

	private constructor(private readonly records: Spool<FolderRecord>) {}

	/** @param work a folder of our own. */
	static async create(work: string): Promise<RestoredFolders> {
		return new RestoredFolders(await Spool.create<FolderRecord>(join(work, 'folders')));
	}

	/** @throws LifeboatError `LIMIT_EXCEEDED` for an archive of very many folders that are closed to their owner. */
	async add(name: string, { mode, uid, gid, mtime }: Attributes): Promise<void> {
		const record = { name, mode, uid, gid, mtime };
		if (isClosed(record) && ++this.closedCount > MAX_CLOSED)
			throw tooMuch('too many folders that are closed to their owner');
		await this.records.add(record);
	}

	/** Gives the folders their owners, permissions and times, after everything has been moved to its place. */
	async finish(
		tree: StagedTree,
		target: string,
		ifExists: ExtractOptions['ifExists'],
		metadata: MetadataRestorer,
	): Promise<void> {
		for await (const folder of this.records.items()) {
			// One that is still here was merged into a folder that was there before, whose attributes are to be kept.
			if (ifExists === 'keep' && (await tree.has(folder.name))) continue;
			if (isClosed(folder)) this.closed.set(folder.name, folder);
			else this.closed.delete(folder.name);
			await metadata.folder(folder.name, pathIn(target, folder.name), folder, OWNER_BITS);
		}
		// From the deepest up: in a closed folder nothing can be changed any more.
		const depth = ({ name }: FolderRecord) => name.split('/').length;
		for (const folder of [...this.closed.values()].sort((a, b) => depth(b) - depth(a))) {
			await metadata.folder(folder.name, pathIn(target, folder.name), folder);
		}
	}

	async close(): Promise<void> {
		await this.records.close();
	}
}

function isClosed({ mode }: Attributes): boolean {
	return (mode & OWNER_BITS) !== OWNER_BITS;
}
