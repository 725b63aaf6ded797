import { constants, type Stats } from 'node:fs';
import { lstat, open, rm, statfs } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type { Readable } from 'node:stream';

import { codeOf, LifeboatError } from '../../errors';
import { syncFolder, TEMPORARY_PREFIX, writeFileAtomically } from '../../streams/atomic-file';
import { chain } from '../../streams/chain';
import { ExactLength } from '../../streams/exact-length';
import { FileReader } from '../../streams/file-reader';
import { assertKey, baseName, isTemporaryKey } from '../keys';
import { checkedRange, notFound } from '../range';
import type {
	GetOptions,
	PutOptions,
	Storage,
	StorageSpace,
	StoredObject,
	UnfinishedUpload,
} from '../storage';

import { localError, makeFolder, refuseLinks, resolveRoot } from './paths';
import { walk } from './walk';

export interface LocalStorageSettings {
	/** Made when first written to. May be a mounted network share. */
	folder: string;
	/** Asked for each path before it is touched; throws to refuse it. */
	assertAllowed?: (path: string) => Promise<void>;
}

/** Backups in a folder of this machine. Files are 0600, folders 0700. */
export function localStorage(settings: LocalStorageSettings): Storage {
	return new LocalStorage(resolve(settings.folder), settings.assertAllowed ?? (async () => {}));
}

class LocalStorage implements Storage {
	readonly description: string;

	constructor(
		private readonly folder: string,
		private readonly assertAllowed: (path: string) => Promise<void>,
	) {
		this.description = `folder ${folder}`;
	}

	async put(key: string, source: Readable, options: PutOptions = {}): Promise<StoredObject> {
		const { signal, size, ifExists = 'fail' } = options;
		try {
			assertKey(key);
			signal?.throwIfAborted();
			await this.assertAllowed(join(this.folder, key));
			await makeFolder(this.folder);
			const path = await this.path(key);
			await makeFolder(dirname(path));
			if (ifExists === 'fail' && (await this.stat(key))) throw this.exists(key);
			if (size !== undefined) await this.assertSpace(dirname(path), size);
			const checked =
				size === undefined ? source : chain(source, [new ExactLength(size, `The source of ${key}`)]);
			return described(key, await writeFileAtomically(path, checked, { signal, ifExists }));
		} catch (error) {
			source.destroy();
			throw this.putError(error, key);
		}
	}

	async get(key: string, { signal, range }: GetOptions = {}): Promise<Readable> {
		signal?.throwIfAborted();
		const path = await this.path(key);
		let handle;
		try {
			handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
		} catch (error) {
			if (isGone(error)) throw notFound(this, key, error);
			throw localError(error, path);
		}
		try {
			const stats = await handle.stat();
			if (!stats.isFile()) throw notFound(this, key);
			const { start, end, length } = checkedRange(stats.size, range, `${key} in ${this.description}`);
			const stream = new FileReader(handle, { start, end });
			return chain(stream, [new ExactLength(length, `${key} in ${this.description}`)], signal);
		} catch (error) {
			await handle.close();
			throw localError(error, path);
		}
	}

	async stat(key: string, signal?: AbortSignal): Promise<StoredObject | undefined> {
		signal?.throwIfAborted();
		const path = await this.path(key);
		try {
			const stats = await lstat(path);
			return stats.isFile() ? described(key, stats) : undefined;
		} catch (error) {
			if (isGone(error)) return undefined;
			throw localError(error, path);
		}
	}

	async *list(prefix: string, signal?: AbortSignal): AsyncGenerator<StoredObject> {
		const root = await resolveRoot(this.folder);
		if (root === undefined) return;
		for await (const { key, stats } of walk(root, prefix, this.assertAllowed, signal)) {
			if (!isTemporaryKey(key)) yield described(key, stats);
		}
	}

	async delete(key: string, signal?: AbortSignal): Promise<void> {
		signal?.throwIfAborted();
		const path = await this.path(key);
		if (!(await this.stat(key))) return;
		try {
			await rm(path, { force: true });
			await syncFolder(dirname(path));
		} catch (error) {
			throw localError(error, path);
		}
	}

	async removeUnfinished(prefix: string, olderThan: Date, signal?: AbortSignal): Promise<number> {
		let removed = 0;
		for await (const { path, stats } of this.temporaryFiles(prefix, signal)) {
			if (stats.mtime >= olderThan) continue;
			try {
				await rm(path, { force: true });
			} catch (error) {
				throw localError(error, path);
			}
			removed += 1;
		}
		return removed;
	}

	async *unfinished(prefix: string, signal?: AbortSignal): AsyncGenerator<UnfinishedUpload> {
		for await (const { key, stats } of this.temporaryFiles(prefix, signal)) {
			yield { key, startedAt: stats.birthtime, size: stats.size, ours: true };
		}
	}

	private async *temporaryFiles(prefix: string, signal?: AbortSignal) {
		const root = await resolveRoot(this.folder);
		if (root === undefined) return;
		// The temporary files of a key lie in its folder, under names of their own.
		const folder = prefix.slice(0, prefix.lastIndexOf('/') + 1);
		for await (const file of walk(root, folder, this.assertAllowed, signal)) {
			if (baseName(file.key).startsWith(TEMPORARY_PREFIX)) yield file;
		}
	}

	async space(): Promise<StorageSpace | undefined> {
		const root = await resolveRoot(this.folder);
		if (root === undefined) {
			throw new LifeboatError('NOT_FOUND', `The ${this.description} is not there`, {
				hint: 'If it is a mounted disk or share, mount it again. It is made when the first backup is stored',
			});
		}
		try {
			const { bavail, bsize, blocks } = await statfs(root);
			// Some network file systems don't tell their size.
			return blocks === 0 ? undefined : { freeBytes: bavail * bsize, totalBytes: blocks * bsize };
		} catch (error) {
			throw localError(error, root);
		}
	}

	async close(): Promise<void> {}

	/** The path of a key, once it is known to be allowed and to lie in the folder. */
	private async path(key: string): Promise<string> {
		assertKey(key);
		const path = join(this.folder, key);
		await this.assertAllowed(path);
		const root = await resolveRoot(this.folder);
		if (root === undefined) return path;
		await refuseLinks(root, key);
		return join(root, key);
	}

	private async assertSpace(folder: string, size: number): Promise<void> {
		const { bavail, bsize, blocks } = await statfs(folder, { bigint: true });
		// Some network file systems don't tell their size.
		if (blocks === 0n || bavail * bsize >= BigInt(size)) return;
		throw new LifeboatError(
			'DISK_FULL',
			`${folder} has ${bavail * bsize} bytes free, the backup needs ${size}`,
			{ hint: 'Free space on that disk or choose a folder on another one. Nothing was written' },
		);
	}

	private putError(error: unknown, key: string): unknown {
		const path = join(this.folder, key);
		if (!(error instanceof LifeboatError)) return localError(error, path);
		if (error.code === 'ALREADY_EXISTS') return this.exists(key, error);
		return error.code === 'WRITE_FAILED' ? localError(error.cause, path) : error;
	}

	private exists(key: string, cause?: unknown): LifeboatError {
		return new LifeboatError('ALREADY_EXISTS', `${key} already exists in ${this.description}`, {
			hint: 'Choose another key, or allow the existing one to be replaced',
			cause,
		});
	}
}

function described(key: string, { size, mtime, mtimeMs, ino }: Stats): StoredObject {
	return { key, size, modifiedAt: mtime, version: `${ino}-${size}-${mtimeMs}` };
}

function isGone(error: unknown): boolean {
	return ['ENOENT', 'ENOTDIR'].includes(codeOf(error) ?? '');
}
