import { constants } from 'node:fs';
import { lchown, lutimes, open, type FileHandle } from 'node:fs/promises';

import { codeOf } from '../errors';
import { systemMessage } from '../streams/atomic-file';

import type { ExtractLog } from './extract-log';
import type { EntryHeader } from './tar-header';

/** What is restored of an entry besides its name and content. */
export type Attributes = Pick<EntryHeader, 'mode' | 'uid' | 'gid' | 'mtime'>;

/** Bits with which a file runs with its owner's rights. */
export const SET_ID_BITS = 0o6000;

const STICKY = 0o1000;

/**
 * Restores owners, permissions and times. A file system that has no such thing, or does not permit it, is no reason to give up the
 * content: it is reported.
 */
export class MetadataRestorer {
	constructor(
		private readonly restoreOwners: boolean,
		private readonly log: ExtractLog,
	) {}

	async file(name: string, handle: FileHandle, attributes: Attributes): Promise<void> {
		await this.apply(name, handle, attributes, 0o777);
	}

	/** @param addedMode permission bits that it gets for now, so that it can be worked in. */
	async folder(name: string, path: string, attributes: Attributes, addedMode = 0): Promise<void> {
		await this.attempt(name, 'owner, permissions and time', async () => {
			// The very folder: a link that has taken its place since is not followed.
			const handle = await open(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
			try {
				const mode = attributes.mode | addedMode;
				await this.apply(name, handle, { ...attributes, mode }, 0o777 | STICKY);
			} finally {
				await handle.close();
			}
		});
	}

	async link(name: string, path: string, { uid, gid, mtime }: Attributes): Promise<void> {
		if (this.restoreOwners) await this.attempt(name, 'owner', () => lchown(path, uid, gid));
		await this.attempt(name, 'time', () => lutimes(path, mtime, mtime));
	}

	private async apply(name: string, handle: FileHandle, attributes: Attributes, mask: number): Promise<void> {
		const { uid, gid, mtime, mode } = attributes;
		// In this order: a change of owner takes permissions away.
		if (this.restoreOwners) await this.attempt(name, 'owner', () => handle.chown(uid, gid));
		await this.attempt(name, 'permissions', () => handle.chmod(mode & mask));
		await this.attempt(name, 'time', () => handle.utimes(mtime, mtime));
	}

	private async attempt(name: string, what: string, action: () => Promise<void>): Promise<void> {
		try {
			await action();
		} catch (error) {
			if (!['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EINVAL'].includes(codeOf(error) ?? '')) throw error;
			this.log.skip(name, `its ${what}: ${systemMessage(error)}`);
		}
	}
}
