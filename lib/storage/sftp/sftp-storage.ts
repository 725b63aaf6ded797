import type { Readable } from 'node:stream';
import type { Stats } from 'ssh2';

import { LifeboatError } from '../../errors';
import { TEMPORARY_PREFIX } from '../../streams/atomic-file';
import { assertKey, baseName, isRemovable, isTemporaryKey } from '../keys';
import { notFound } from '../range';
import type { GetOptions, PutOptions, Storage, StoredObject, UnfinishedUpload } from '../storage';

import { download } from './download';
import { sftpError } from './errors';
import { SftpSessions } from './sessions';
import type { SftpSettings } from './settings';
import { upload } from './upload';
import { walk, type RemoteEntry } from './walk';

export type { SftpSettings } from './settings';

/**
 * Backups in a folder of an SFTP server. Opens no connection yet. Files are 0600, folders that it makes 0700.
 *
 * @throws LifeboatError `INVALID_OPTION` without a host.
 */
export function sftpStorage(settings: SftpSettings): Storage {
	if (settings.host.trim() !== '') return new SftpStorage(settings);
	throw new LifeboatError('INVALID_OPTION', 'The SFTP credential names no host', {
		hint: 'Enter the host of the server in the credential',
	});
}

class SftpStorage implements Storage {
	readonly description: string;

	private readonly sessions: SftpSessions;

	/** Without a slash at its end; empty for the root of the server. */
	private readonly root: string;

	constructor(settings: SftpSettings) {
		const { host, port = 22, username, folder } = settings;
		const trimmed = folder.trim();
		this.root = trimmed.startsWith('/') ? trimmed.replace(/\/+$/, '') : trimmed.replace(/\/+$/, '') || '.';
		const server = port === 22 ? host : `${host}:${port}`;
		this.description = `folder ${this.root || '/'} of SFTP server ${username}@${server}`;
		this.sessions = new SftpSessions(settings);
	}

	async put(key: string, source: Readable, options: PutOptions = {}): Promise<StoredObject> {
		try {
			assertKey(key);
			options.signal?.throwIfAborted();
			const stats = await upload(this.target(key), source, options);
			return described(key, stats);
		} catch (error) {
			source.destroy();
			options.signal?.throwIfAborted();
			throw error;
		}
	}

	async get(key: string, options: GetOptions = {}): Promise<Readable> {
		const action = `Downloading ${key} from ${this.description}`;
		const stream = await this.asked(action, key, () => download(this.target(key), options));
		if (stream) return stream;
		throw notFound(this, key);
	}

	async stat(key: string, signal?: AbortSignal): Promise<StoredObject | undefined> {
		const action = `Looking up ${key} in ${this.description}`;
		const stats = await this.asked(action, key, () =>
			this.sessions.run(signal, (session) => session.lstat(this.path(key))),
		);
		return stats?.isFile() ? described(key, stats) : undefined;
	}

	async *list(prefix: string, signal?: AbortSignal): AsyncGenerator<StoredObject> {
		try {
			for await (const { key, stats } of walk(this.sessions, this.root, prefix, signal)) {
				if (!isTemporaryKey(key)) yield described(key, stats);
			}
		} catch (error) {
			throw sftpError(error, `Listing ${prefix ? `${prefix} in ` : ''}${this.description}`, this.root || '/');
		}
	}

	async delete(key: string, signal?: AbortSignal): Promise<void> {
		await this.asked(`Deleting ${key} from ${this.description}`, key, () =>
			this.sessions.run(signal, async (session) => {
				const path = this.path(key);
				if ((await session.lstat(path))?.isFile()) await session.remove(path);
			}),
		);
	}

	async removeUnfinished(prefix: string, olderThan: Date, signal?: AbortSignal): Promise<number> {
		let removed = 0;
		try {
			for await (const { key, path, stats } of this.temporary(prefix, signal)) {
				if (!isRemovable(baseName(key)) || stats.mtime * 1000 >= olderThan.getTime()) continue;
				await this.sessions.run(signal, (session) => session.remove(path));
				removed += 1;
			}
		} catch (error) {
			throw sftpError(error, `Removing unfinished uploads from ${this.description}`, this.root || '/');
		}
		return removed;
	}

	async *unfinished(prefix: string, signal?: AbortSignal): AsyncGenerator<UnfinishedUpload> {
		try {
			for await (const { key, stats } of this.temporary(prefix, signal)) {
				const startedAt = new Date(stats.mtime * 1000);
				yield { key, startedAt, size: stats.size, ours: isRemovable(baseName(key)) };
			}
		} catch (error) {
			throw sftpError(error, `Listing unfinished uploads in ${this.description}`, this.root || '/');
		}
	}

	/** The temporary files of a key lie in its folder, under names of their own. */
	private async *temporary(prefix: string, signal?: AbortSignal): AsyncGenerator<RemoteEntry> {
		const folder = prefix.slice(0, prefix.lastIndexOf('/') + 1);
		for await (const entry of walk(this.sessions, this.root, folder, signal)) {
			if (baseName(entry.key).startsWith(TEMPORARY_PREFIX)) yield entry;
		}
	}

	async close(): Promise<void> {
		await this.sessions.close();
	}

	private path(key: string): string {
		return `${this.root}/${key}`;
	}

	private target(key: string) {
		return { sessions: this.sessions, description: this.description, key, path: this.path(key) };
	}

	private async asked<Result>(action: string, key: string, run: () => Promise<Result>): Promise<Result> {
		assertKey(key);
		try {
			return await run();
		} catch (error) {
			throw sftpError(error, action, this.path(key));
		}
	}
}

/** The version tells replacements apart because each one gets a later time than what it replaces. */
function described(key: string, { size, mtime }: Stats): StoredObject {
	return { key, size, modifiedAt: new Date(mtime * 1000), version: `${size}-${mtime}` };
}
