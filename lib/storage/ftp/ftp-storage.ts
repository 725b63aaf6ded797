import type { Readable } from 'node:stream';

import { LifeboatError } from '../../errors';
import { TEMPORARY_PREFIX } from '../../streams/atomic-file';
import { assertKey, isOlder, isRemovable, isTemporaryKey } from '../keys';
import { notFound } from '../range';
import type { GetOptions, PutOptions, Storage, StoredObject, UnfinishedUpload } from '../storage';

import { download } from './download';
import { ftpError } from './errors';
import type { Facts } from './facts';
import { FtpPool } from './pool';
import type { FtpSettings } from './settings';
import { upload } from './upload';
import { walk, type RemoteEntry } from './walk';

export type { FtpSettings } from './settings';

/**
 * Backups in a folder of an FTP server, with or without TLS. Opens no connection yet.
 *
 * @throws LifeboatError `INVALID_OPTION` without a host, or for a login that would be more than one command.
 */
export function ftpStorage(settings: FtpSettings): Storage {
	if (settings.host.trim() === '') {
		throw new LifeboatError('INVALID_OPTION', 'The FTP credential names no host', {
			hint: 'Enter the host of the server in the credential',
		});
	}
	const { user = '', password = '', folder } = settings;
	if (/\p{Cc}/u.test(user + password + folder)) {
		throw new LifeboatError('INVALID_OPTION', 'User, password or folder contain a control character', {
			hint: 'Remove line breaks from them',
		});
	}
	return new FtpStorage(settings);
}

class FtpStorage implements Storage {
	readonly description: string;

	private readonly pool: FtpPool;

	private readonly folder: string;

	private readonly absolute: boolean;

	private root: Promise<string> | undefined;

	constructor(settings: FtpSettings) {
		const { host, port, user = 'anonymous' } = settings;
		const folder = settings.folder.trim();
		this.absolute = folder.startsWith('/');
		this.folder = folder.replace(/\/+$/, '');
		const server = port === undefined || port === 21 ? host : `${host}:${port}`;
		this.description = `folder ${folder || '.'} of FTP server ${user}@${server}`;
		this.pool = new FtpPool(settings);
	}

	async put(key: string, source: Readable, options: PutOptions = {}): Promise<StoredObject> {
		try {
			assertKey(key);
			options.signal?.throwIfAborted();
			const target = await this.asked(
				`Uploading ${key} to`,
				key,
				(path) => this.target(key, path),
				options.signal,
			);
			return described(key, await upload(target, source, options));
		} catch (error) {
			source.destroy();
			options.signal?.throwIfAborted();
			throw error;
		}
	}

	async get(key: string, options: GetOptions = {}): Promise<Readable> {
		const stream = await this.asked(
			`Downloading ${key} from`,
			key,
			(path) => download(this.target(key, path), options),
			options.signal,
		);
		if (stream) return stream;
		throw notFound(this, key);
	}

	async stat(key: string, signal?: AbortSignal): Promise<StoredObject | undefined> {
		const facts = await this.asked(
			`Looking up ${key} in`,
			key,
			(path) => this.pool.run(signal, (connection) => connection.look(path)),
			signal,
		);
		return facts?.kind === 'file' ? described(key, facts) : undefined;
	}

	async *list(prefix: string, signal?: AbortSignal): AsyncGenerator<StoredObject> {
		try {
			for await (const { key, ...facts } of walk(this.pool, await this.rootPath(signal), prefix, signal)) {
				if (!isTemporaryKey(key)) yield described(key, facts);
			}
		} catch (error) {
			throw ftpError(
				error,
				`Listing ${prefix ? `${prefix} in ` : ''}${this.description}`,
				this.folder || '/',
			);
		}
	}

	async delete(key: string, signal?: AbortSignal): Promise<void> {
		await this.asked(
			`Deleting ${key} from`,
			key,
			(path) =>
				this.pool.run(signal, async (connection) => {
					if ((await connection.look(path))?.kind === 'file') await connection.remove(path);
				}),
			signal,
		);
	}

	async removeUnfinished(prefix: string, olderThan: Date, signal?: AbortSignal): Promise<number> {
		let removed = 0;
		try {
			for await (const { name, kind, path, modifiedAt } of this.temporary(prefix, signal)) {
				if (!isRemovable(name) || !isOlder(modifiedAt, olderThan)) continue;
				await this.pool.run(signal, (connection) =>
					kind === 'file' ? connection.remove(path) : connection.removeFolder(path),
				);
				removed += 1;
			}
		} catch (error) {
			throw ftpError(error, `Removing unfinished uploads from ${this.description}`, this.folder || '/');
		}
		return removed;
	}

	async *unfinished(prefix: string, signal?: AbortSignal): AsyncGenerator<UnfinishedUpload> {
		try {
			for await (const { key, name, kind, size, modifiedAt } of this.temporary(prefix, signal)) {
				const ours = isRemovable(name);
				yield { key, startedAt: modifiedAt, ...(kind === 'file' && { size }), ours };
			}
		} catch (error) {
			throw ftpError(error, `Listing unfinished uploads in ${this.description}`, this.folder || '/');
		}
	}

	/** The temporary files of a key, and its claim, lie in its folder, under names of their own. */
	private async *temporary(prefix: string, signal?: AbortSignal): AsyncGenerator<RemoteEntry> {
		const folder = prefix.slice(0, prefix.lastIndexOf('/') + 1);
		for await (const entry of walk(this.pool, await this.rootPath(signal), folder, signal)) {
			if (entry.name.startsWith(TEMPORARY_PREFIX)) yield entry;
		}
	}

	async close(): Promise<void> {
		await this.pool.close();
	}

	/** The folder's path from the root of the server, without a slash at its end. */
	private async rootPath(signal?: AbortSignal): Promise<string> {
		if (this.absolute) return this.folder;
		this.root ??= this.pool
			.run(signal, async ({ home }) => `${home.replace(/\/+$/, '')}${this.folder && `/${this.folder}`}`)
			.catch((error: unknown) => {
				this.root = undefined;
				throw error;
			});
		return await this.root;
	}

	private target(key: string, path: string) {
		return { pool: this.pool, description: this.description, key, path };
	}

	private async asked<Result>(
		action: string,
		key: string,
		run: (path: string) => Result,
		signal?: AbortSignal,
	): Promise<Awaited<Result>> {
		assertKey(key);
		try {
			signal?.throwIfAborted();
			return await run(`${await this.rootPath(signal)}/${key}`);
		} catch (error) {
			throw ftpError(error, `${action} ${this.description}`, key);
		}
	}
}

function described(key: string, { size, modifiedAt, version }: Facts): StoredObject {
	return { key, size, modifiedAt, version };
}
