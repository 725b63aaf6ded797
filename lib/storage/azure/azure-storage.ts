import type { Readable } from 'node:stream';

import { LifeboatError } from '../../errors';
import { assertKey, isTemporaryKey } from '../keys';
import { SourceFailed } from '../parts';
import { invalidRange, notFound } from '../range';
import type {
	GetOptions,
	KeptChecksums,
	PutOptions,
	Storage,
	StoredObject,
	UnfinishedUpload,
} from '../storage';

import { download } from './download';
import { azureError, hasStatus, isMissing } from './errors';
import { listBlobs } from './list';
import { azureTarget, repeat, type AzureSettings, type AzureTarget } from './target';
import { discardBlocks, listUnfinished } from './unfinished';
import { propertiesOf, upload } from './upload';

export type { AzureSettings } from './target';

/**
 * Backups in a container of Azure Blob Storage, as block blobs. Opens no connection yet.
 *
 * @throws LifeboatError `INVALID_OPTION` for what is no account, container or address.
 */
export function azureStorage(settings: AzureSettings): Storage {
	return new AzureStorage(azureTarget(settings));
}

class AzureStorage implements Storage {
	readonly description: string;

	constructor(private readonly target: AzureTarget) {
		this.description = target.description;
	}

	async put(key: string, source: Readable, options: PutOptions = {}): Promise<StoredObject> {
		try {
			assertAzureKey(key);
			const { size, properties } = await upload(this.target, key, source, options);
			return {
				...described(key, { ...properties, contentLength: size }),
				...(options.checksums && { receivedChecksum: 'MD5 of each block' }),
			};
		} catch (error) {
			source.destroy();
			options.signal?.throwIfAborted();
			if (error instanceof SourceFailed) throw error.cause;
			throw azureError(error, `Uploading ${key} to ${this.description}`);
		}
	}

	async get(key: string, options: GetOptions = {}): Promise<Readable> {
		assertAzureKey(key);
		const what = `${key} in ${this.description}`;
		try {
			options.signal?.throwIfAborted();
			return await download(this.target, key, what, options);
		} catch (error) {
			options.signal?.throwIfAborted();
			if (options.range && hasStatus(error, 416)) throw invalidRange(options.range, what, error);
			if (isMissing(error)) throw notFound(this, key, error);
			throw azureError(error, `Downloading ${key} from ${this.description}`);
		}
	}

	async stat(key: string, signal?: AbortSignal): Promise<StoredObject | undefined> {
		assertAzureKey(key);
		try {
			const properties = await propertiesOf(this.target, key, signal);
			return properties && described(key, properties);
		} catch (error) {
			throw azureError(error, `Looking up ${key} in ${this.description}`);
		}
	}

	/** Not its Content-MD5: of an object in blocks that is what its writer says, and nobody compares it. */
	async keptChecksums(key: string, signal?: AbortSignal): Promise<KeptChecksums | undefined> {
		const { version } = (await this.stat(key, signal)) ?? {};
		return version === undefined ? undefined : { version };
	}

	async *list(prefix: string, signal?: AbortSignal): AsyncGenerator<StoredObject> {
		try {
			for await (const { name, properties } of listBlobs(this.target, prefix, { signal })) {
				if (!isTemporaryKey(name)) yield described(name, properties);
			}
		} catch (error) {
			throw azureError(error, `Listing ${prefix ? `${prefix} in ` : ''}${this.description}`);
		}
	}

	async delete(key: string, signal?: AbortSignal): Promise<void> {
		assertAzureKey(key);
		try {
			await repeat(this.target, signal, (abortSignal) =>
				this.target.container.getBlobClient(key).delete({ abortSignal, deleteSnapshots: 'include' }),
			);
		} catch (error) {
			if (!isMissing(error)) throw azureError(error, `Deleting ${key} from ${this.description}`);
		}
	}

	async removeUnfinished(prefix: string, olderThan: Date, signal?: AbortSignal): Promise<number> {
		let removed = 0;
		try {
			for await (const { name, properties } of listBlobs(this.target, prefix, {
				uncommitted: true,
				signal,
			})) {
				const { contentLength = 0, lastModified } = properties;
				// One whose age isn't told may be under way.
				if (contentLength > 0 || !(lastModified < olderThan)) continue;
				if (await discardBlocks(this.target, name, signal)) removed += 1;
			}
		} catch (error) {
			throw azureError(error, `Removing unfinished uploads from ${this.description}`);
		}
		return removed;
	}

	async *unfinished(prefix: string, signal?: AbortSignal): AsyncGenerator<UnfinishedUpload> {
		try {
			yield* listUnfinished(this.target, prefix, signal);
		} catch (error) {
			throw azureError(error, `Listing unfinished uploads in ${this.description}`);
		}
	}

	async close(): Promise<void> {
		this.target.agent.destroy();
	}
}

/** As `assertKey`, without what the service changes: dots at the end of names, and backslashes. @throws LifeboatError `INVALID_KEY`. */
function assertAzureKey(key: string): void {
	assertKey(key);
	if (!/\\|\.(\/|$)/.test(key)) return;
	throw new LifeboatError('INVALID_KEY', `${key} cannot be a key in Azure`, {
		hint: 'The service takes \\ for /, and drops dots at the end of a name. Choose another key',
	});
}

function described(
	key: string,
	{
		contentLength = 0,
		lastModified = new Date(0),
		etag,
	}: {
		contentLength?: number | undefined;
		lastModified?: Date | undefined;
		etag?: string | undefined;
	},
): StoredObject {
	// Lists give it without quotes.
	const version = etag?.replace(/^"(.*)"$/, '$1');
	return { key, size: contentLength, modifiedAt: lastModified, ...(version !== undefined && { version }) };
}
