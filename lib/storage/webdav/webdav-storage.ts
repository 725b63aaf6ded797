import type { Readable } from 'node:stream';

import { LifeboatError } from '../../errors';
import { isOlder } from '../keys';
import { invalidRange, notFound } from '../range';
import type {
	GetOptions,
	PutOptions,
	Storage,
	StorageSpace,
	StoredObject,
	UnfinishedUpload,
} from '../storage';

import { download } from './download';
import { hasStatus, webDavError } from './errors';
import { send } from './exchange';
import { assertAddress } from './folders';
import { assertWebDavKey, isRemovable } from './names';
import { lookUp, type WebDavEntry } from './propfind';
import { quotaBelow } from './quota';
import { SourceFailed } from './send-stream';
import type { WebDavSettings } from './settings';
import { webDavTarget, type WebDavTarget } from './target';
import { upload } from './upload';
import { walk, type WalkedEntry } from './walk';

export type { WebDavSettings } from './settings';

/**
 * Backups in a folder of a WebDAV server, such as Nextcloud, Apache or nginx (RFC 4918). Opens no connection yet.
 *
 * @throws LifeboatError `INVALID_OPTION` for what is no address, `INVALID_KEY` for a folder that can't be one.
 */
export function webDavStorage(settings: WebDavSettings): Storage {
	return new WebDavStorage(webDavTarget(settings));
}

class WebDavStorage implements Storage {
	readonly description: string;

	constructor(private readonly target: WebDavTarget) {
		this.description = target.description;
	}

	async put(key: string, source: Readable, options: PutOptions = {}): Promise<StoredObject> {
		try {
			assertWebDavKey(key);
			return described(key, await upload(this.target, key, source, options));
		} catch (error) {
			source.destroy();
			options.signal?.throwIfAborted();
			if (error instanceof SourceFailed) throw error.cause;
			throw webDavError(error, `Uploading ${key} to ${this.description}`);
		}
	}

	async get(key: string, options: GetOptions = {}): Promise<Readable> {
		const path = this.path(key);
		const what = `${key} in ${this.description}`;
		try {
			options.signal?.throwIfAborted();
			// Servers answer a GET of a folder with a page of their own.
			const object = await this.find(path, options.signal);
			if (!object) throw notFound(this, key);
			return await download(this.target, path, object, what, options);
		} catch (error) {
			options.signal?.throwIfAborted();
			if (options.range && hasStatus(error, 416)) throw invalidRange(options.range, what, error);
			if (hasStatus(error, 404)) throw notFound(this, key, error);
			throw webDavError(error, `Downloading ${key} from ${this.description}`);
		}
	}

	async stat(key: string, signal?: AbortSignal): Promise<StoredObject | undefined> {
		const path = this.path(key);
		try {
			const entry = await this.find(path, signal);
			return entry && described(key, entry);
		} catch (error) {
			throw webDavError(error, `Looking up ${key} in ${this.description}`);
		}
	}

	async *list(prefix: string, signal?: AbortSignal): AsyncGenerator<StoredObject> {
		for await (const entry of this.listAll(prefix, signal)) {
			if (!entry.isTemporary) yield described(entry.key, entry);
		}
	}

	async delete(key: string, signal?: AbortSignal): Promise<void> {
		const path = this.path(key);
		try {
			// DELETE of a folder would take all that is in it along.
			if (await this.find(path, signal)) await this.remove(path, signal);
		} catch (error) {
			throw webDavError(error, `Deleting ${key} from ${this.description}`);
		}
	}

	async removeUnfinished(prefix: string, olderThan: Date, signal?: AbortSignal): Promise<number> {
		let removed = 0;
		for await (const { key, name, modifiedAt, isFolder } of this.temporary(prefix, signal)) {
			if (!isRemovable(name) || !isOlder(modifiedAt, olderThan)) continue;
			try {
				await this.remove(`${this.target.root}${key}${isFolder ? '/' : ''}`, signal);
			} catch (error) {
				throw webDavError(error, `Removing unfinished uploads from ${this.description}`);
			}
			removed += 1;
		}
		return removed;
	}

	async *unfinished(prefix: string, signal?: AbortSignal): AsyncGenerator<UnfinishedUpload> {
		for await (const { key, name, modifiedAt, isFolder, size } of this.temporary(prefix, signal)) {
			yield { key, startedAt: modifiedAt, ...(!isFolder && { size }), ours: isRemovable(name) };
		}
	}

	/** The temporary files of a key, and its claim, lie in its folder, under names of their own. */
	private async *temporary(prefix: string, signal?: AbortSignal): AsyncGenerator<WalkedEntry> {
		const folder = prefix.slice(0, prefix.lastIndexOf('/') + 1);
		for await (const entry of this.listAll(folder, signal)) if (entry.isTemporary) yield entry;
	}

	async space(signal?: AbortSignal): Promise<StorageSpace | undefined> {
		try {
			await assertAddress(this.target, signal);
			const quota = await quotaBelow(this.target, this.target.root, signal);
			if (!quota) return undefined;
			const { available, used } = quota;
			return { freeBytes: available, ...(used !== undefined && { totalBytes: available + used }) };
		} catch (error) {
			throw webDavError(error, `Asking for the free space of ${this.description}`);
		}
	}

	async close(): Promise<void> {
		this.target.agent.destroy();
	}

	private async *listAll(prefix: string, signal?: AbortSignal): AsyncGenerator<WalkedEntry> {
		try {
			await assertAddress(this.target, signal);
			yield* walk(this.target, prefix, signal);
		} catch (error) {
			throw webDavError(error, `Listing ${prefix ? `${prefix} in ` : ''}${this.description}`);
		}
	}

	private async find(path: string, signal?: AbortSignal): Promise<WebDavEntry | undefined> {
		const entry = await lookUp(this.target, path, signal);
		if (!entry) await assertAddress(this.target, signal);
		return entry?.isFolder ? undefined : entry;
	}

	private async remove(path: string, signal?: AbortSignal): Promise<void> {
		const answer = await send(this.target, 'DELETE', path, { signal }, [404]);
		answer.resume();
		if (answer.statusCode !== 207) return;
		throw new LifeboatError('STORAGE_FAILED', `${path} in ${this.description} was not deleted`, {
			hint: 'Something holds it: a lock, or a missing permission. Look into the log of the server',
		});
	}

	/** The path of a key on the server. */
	private path(key: string): string {
		assertWebDavKey(key);
		return this.target.root + key;
	}
}

function described(key: string, { size, modifiedAt, version }: WebDavEntry): StoredObject {
	return { key, size, modifiedAt, version };
}
