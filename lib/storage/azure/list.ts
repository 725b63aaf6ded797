import type { BlobItem } from '@azure/storage-blob';

import { LifeboatError } from '../../errors';
import { compareKeys } from '../keys';

import { repeat, type AzureTarget } from './target';

const PAGE = 1000;

/**
 * All objects whose key starts with a prefix, page by page, in the order of their keys' UTF-8 bytes.
 *
 * @param uncommitted also keys of which only blocks are there; they have no ETag.
 */
export async function* listBlobs(
	target: AzureTarget,
	prefix: string,
	{ uncommitted = false, signal }: { uncommitted?: boolean; signal?: AbortSignal | undefined } = {},
): AsyncGenerator<BlobItem> {
	let last: string | undefined;
	for await (const blob of inByteOrder(pages(target, prefix, uncommitted, signal))) {
		if (last !== undefined && compareKeys(last, blob.name) >= 0) throw outOfOrder(target);
		last = blob.name;
		yield blob;
	}
}

async function* pages(
	target: AzureTarget,
	prefix: string,
	includeUncommitedBlobs: boolean,
	signal: AbortSignal | undefined,
): AsyncGenerator<BlobItem> {
	let continuationToken: string | undefined;
	do {
		const page = await repeat(target, signal, async (abortSignal) => {
			const options = { abortSignal, includeUncommitedBlobs, ...(prefix && { prefix }) };
			const list = target.container.listBlobsFlat(options);
			const next = await list
				.byPage({ maxPageSize: PAGE, ...(continuationToken && { continuationToken }) })
				.next();
			return next.done ? undefined : next.value;
		});
		yield* page?.segment.blobItems ?? [];
		continuationToken = page?.continuationToken || undefined;
	} while (continuationToken !== undefined);
}

/**
 * The service may order by UTF-16, which differs for characters from U+D800 on. Keys that are the same up to the first of those lie
 * together in both orders: only within such a group they are sorted.
 */
async function* inByteOrder(blobs: AsyncIterable<BlobItem>): AsyncGenerator<BlobItem> {
	let group: BlobItem[] = [];
	let shared: string | undefined;
	for await (const blob of blobs) {
		const at = blob.name.search(/[\ud800-\uffff]/);
		const start = at < 0 ? undefined : blob.name.slice(0, at);
		if (start === undefined || start !== shared) {
			yield* sorted(group);
			group = [];
		}
		shared = start;
		if (start === undefined) yield blob;
		else group.push(blob);
	}
	yield* sorted(group);
}

const sorted = (blobs: BlobItem[]) => blobs.sort((a, b) => compareKeys(a.name, b.name));

function outOfOrder({ description }: AzureTarget): LifeboatError {
	return new LifeboatError('STORAGE_FAILED', `The list of ${description} is not complete or not in order`, {
		hint: 'The service does not list as Azure does, so that backups could be overlooked. Use another kind of storage for it',
	});
}
