import { HeadBucketCommand, ListObjectsV2Command } from '@aws-sdk/client-s3';
import type { Readable } from 'node:stream';

import { LifeboatError } from '../../errors';
import { TEMPORARY_PREFIX } from '../../streams/atomic-file';
import { keptForNextTry } from '../kept';
import { assertKey, baseName, compareKeys, isTemporaryKey } from '../keys';
import { SourceFailed } from '../parts';
import { invalidRange, notFound } from '../range';
import type {
	GetOptions,
	KeptChecksums,
	PutOptions,
	Storage,
	StorageLock,
	StoredObject,
	Unarchived,
	UnarchiveOptions,
	UnfinishedUpload,
} from '../storage';

import { unarchive } from './archive';
import { s3Target, type S3Target } from './client';
import { download } from './download';
import { ensureKept } from './ensure-kept';
import { hasStatus, isMissing, s3Error } from './errors';
import { presignedLink } from './link';
import { removeObject } from './remove';
import type { S3Settings } from './settings';
import { listUnfinished, removeUnfinished } from './unfinished';
import { checksumsKept, described, head } from './object';
import { UploadKept } from './put-parts';
import { upload } from './upload';
import { canLock, lockOf, removeVersions } from './versions';
import { isArchiveClass, wantsLock } from './write-params';

export type { S3Settings } from './settings';

/**
 * Backups in a bucket of Amazon S3 or of a service that speaks its protocol. Opens no connection yet.
 *
 * @throws LifeboatError `INVALID_OPTION` for an endpoint that is no address.
 */
export function s3Storage(settings: S3Settings): Storage {
	return new S3Storage(s3Target(settings));
}

class S3Storage implements Storage {
	readonly description: string;

	readonly writesArchived: boolean;

	/** Not for what only a key in the request opens: an address can't hold it. */
	readonly link?: (key: string, seconds: number) => Promise<string>;

	/** Whether objects may be locked; asked once. */
	private locks: Promise<boolean> | undefined;

	/** Whether the bucket has shown that it exists: HEAD answers 404 for a missing object and a missing bucket alike. */
	private bucketSeen = false;

	constructor(private readonly target: S3Target) {
		this.description = target.description;
		this.writesArchived = isArchiveClass(target.write.storageClass);
		if (target.write.customerKey === undefined) {
			this.link = async (key, seconds) => {
				assertKey(key);
				return await presignedLink(target, key, seconds);
			};
		}
	}

	async put(key: string, source: Readable, options: PutOptions = {}): Promise<StoredObject> {
		try {
			assertKey(key);
			await this.assertLockable(options);
			return await upload(this.target, key, source, options);
		} catch (error) {
			source.destroy();
			options.signal?.throwIfAborted();
			if (error instanceof SourceFailed) throw error.cause;
			const action = `Uploading ${key} to ${this.description}`;
			if (!(error instanceof UploadKept)) throw s3Error(error, action);
			const cause = s3Error(error.cause, action);
			throw cause instanceof LifeboatError ? keptForNextTry(cause) : cause;
		}
	}

	async get(key: string, options: GetOptions = {}): Promise<Readable> {
		assertKey(key);
		try {
			return await download(this.target, key, options);
		} catch (error) {
			if (options.range && hasStatus(error, 416)) {
				throw invalidRange(options.range, `${key} in ${this.description}`, error);
			}
			if (isMissing(error)) throw notFound(this, key, error);
			throw s3Error(error, `Downloading ${key} from ${this.description}`);
		}
	}

	async stat(key: string, signal?: AbortSignal): Promise<StoredObject | undefined> {
		assertKey(key);
		try {
			const there = await head(this.target, key, signal);
			if (!there) {
				await this.assertBucket(signal);
				return undefined;
			}
			this.bucketSeen = true;
			return {
				key,
				size: there.ContentLength ?? 0,
				modifiedAt: there.LastModified ?? new Date(0),
				...described(there),
			};
		} catch (error) {
			throw s3Error(error, `Looking up ${key} in ${this.description}`);
		}
	}

	async *list(prefix: string, signal?: AbortSignal): AsyncGenerator<StoredObject> {
		for await (const object of this.listAll(prefix, signal)) {
			if (!isTemporaryKey(object.key)) yield object;
		}
	}

	async delete(key: string, signal?: AbortSignal): Promise<void> {
		assertKey(key);
		try {
			await removeObject(this.target, key, signal);
		} catch (error) {
			throw s3Error(error, `Deleting ${key} from ${this.description}`);
		}
	}

	async keptChecksums(key: string, signal?: AbortSignal): Promise<KeptChecksums | undefined> {
		assertKey(key);
		try {
			return await checksumsKept(this.target, key, signal);
		} catch (error) {
			throw s3Error(error, `Asking for the checksums of ${key} in ${this.description}`);
		}
	}

	async lock(key: string, signal?: AbortSignal): Promise<StorageLock | undefined> {
		assertKey(key);
		try {
			return (await this.hasLocks(signal)) ? await lockOf(this.target, key, signal) : undefined;
		} catch (error) {
			throw s3Error(error, `Asking for the lock of ${key} in ${this.description}`);
		}
	}

	async ensureKept(key: string, role?: PutOptions['role'], signal?: AbortSignal): Promise<void> {
		assertKey(key);
		try {
			await ensureKept(this.target, key, role, signal);
		} catch (error) {
			throw s3Error(error, `Locking and tagging ${key} in ${this.description}`);
		}
	}

	async deleteVersions(key: string, signal?: AbortSignal): Promise<void> {
		assertKey(key);
		try {
			await removeVersions(this.target, key, signal);
		} catch (error) {
			throw s3Error(error, `Deleting the versions of ${key} from ${this.description}`);
		}
	}

	async removeUnfinished(prefix: string, olderThan: Date, signal?: AbortSignal): Promise<number> {
		try {
			return await removeUnfinished(this.target, prefix, olderThan, this.temporary(prefix, signal), signal);
		} catch (error) {
			throw s3Error(error, `Removing unfinished uploads from ${this.description}`);
		}
	}

	async *unfinished(prefix: string, signal?: AbortSignal): AsyncGenerator<UnfinishedUpload> {
		try {
			yield* listUnfinished(this.target, prefix, this.temporary(prefix, signal), signal);
		} catch (error) {
			throw s3Error(error, `Listing unfinished uploads in ${this.description}`);
		}
	}

	async unarchive(key: string, options: UnarchiveOptions, signal?: AbortSignal): Promise<Unarchived> {
		assertKey(key);
		try {
			return await unarchive(this.target, key, options, signal);
		} catch (error) {
			throw s3Error(error, `Asking for the restoration of ${key} in ${this.description}`);
		}
	}

	/** The objects that claims and records are. Those of a key lie in its folder, under names of their own. */
	private async *temporary(prefix: string, signal?: AbortSignal): AsyncGenerator<StoredObject> {
		const folder = prefix.slice(0, prefix.lastIndexOf('/') + 1);
		for await (const object of this.listAll(folder, signal)) {
			if (baseName(object.key).startsWith(TEMPORARY_PREFIX)) yield object;
		}
	}

	async close(): Promise<void> {
		this.target.client.destroy();
	}

	private async *listAll(prefix: string, signal?: AbortSignal): AsyncGenerator<StoredObject> {
		let token: string | undefined;
		let last: string | undefined;
		do {
			const page = await this.listPage(prefix, token, signal);
			for (const { Key: key, Size, LastModified } of page.Contents ?? []) {
				if (key === undefined) continue;
				if (last !== undefined && compareKeys(last, key) >= 0) throw this.outOfOrder();
				last = key;
				yield {
					key,
					size: Size ?? 0,
					modifiedAt: LastModified ?? new Date(0),
				};
			}
			token = page.IsTruncated ? page.NextContinuationToken : undefined;
			if (page.IsTruncated && !token) throw this.outOfOrder();
		} while (token);
	}

	private async listPage(prefix: string, token: string | undefined, signal?: AbortSignal) {
		try {
			const page = await this.target.client.send(
				new ListObjectsV2Command({
					Bucket: this.target.bucket,
					...(prefix && { Prefix: prefix }),
					...(token && { ContinuationToken: token }),
				}),
				{ abortSignal: signal },
			);
			this.bucketSeen = true;
			return page;
		} catch (error) {
			throw s3Error(error, `Listing ${prefix ? `${prefix} in ` : ''}${this.description}`);
		}
	}

	private async hasLocks(signal?: AbortSignal): Promise<boolean> {
		this.locks ??= canLock(this.target, signal);
		try {
			return await this.locks;
		} catch (error) {
			this.locks = undefined;
			throw error;
		}
	}

	/** Before a byte is sent: some services ignore what they are told about locks. @throws LifeboatError `LOCK_FAILED`. */
	private async assertLockable({ role, signal }: PutOptions): Promise<void> {
		if (!wantsLock(this.target.write, role) || (await this.hasLocks(signal))) return;
		throw new LifeboatError('LOCK_FAILED', `Nothing can be locked in ${this.description}`, {
			hint: 'Create the bucket with object lock (it can not be switched on later everywhere), or remove Object Lock and Legal Hold. Nothing was stored',
		});
	}

	private async assertBucket(signal?: AbortSignal): Promise<void> {
		if (this.bucketSeen) return;
		try {
			await this.target.client.send(new HeadBucketCommand({ Bucket: this.target.bucket }), {
				abortSignal: signal,
			});
		} catch (error) {
			// Who may not ask for the bucket at least learns that it is there.
			if (hasStatus(error, 404)) {
				throw new LifeboatError('BUCKET_NOT_FOUND', `There is no ${this.description}`, {
					hint: 'Check the name and the region of the bucket, and whether Force Path Style fits the endpoint. Buckets are not created by Lifeboat',
					cause: error,
				});
			}
			if (!hasStatus(error, 403)) throw error;
		}
		this.bucketSeen = true;
	}

	private outOfOrder(): LifeboatError {
		return new LifeboatError(
			'STORAGE_FAILED',
			`The list of ${this.description} is not complete or not in order`,
			{
				hint: 'The service does not list as S3 does, so that backups could be overlooked. Use another kind of storage for it',
			},
		);
	}
}
