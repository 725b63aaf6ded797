import type { UnfinishedUpload } from '../storage';

import { isOurs } from './blocks';
import { isMissing, isTaken } from './errors';
import { listBlobs } from './list';
import { repeat, type AzureTarget } from './target';
import { propertiesOf } from './upload';

/** The keys under a prefix of which only blocks are there, ours and others', with what these tell. Asks for those of each empty object. */
export async function* listUnfinished(
	target: AzureTarget,
	prefix: string,
	signal?: AbortSignal,
): AsyncGenerator<UnfinishedUpload> {
	for await (const { name: key, properties } of listBlobs(target, prefix, { uncommitted: true, signal })) {
		if (properties.contentLength) continue;
		const blocks = await uncommitted(target, key, signal);
		if (blocks.length === 0) continue;
		yield {
			key,
			startedAt: properties.lastModified ?? new Date(0),
			size: blocks.reduce((sum, { size }) => sum + size, 0),
			ours: blocks.every(({ name }) => isOurs(name)),
		};
	}
}

async function uncommitted(target: AzureTarget, key: string, signal: AbortSignal | undefined) {
	const client = target.container.getBlockBlobClient(key);
	try {
		const { uncommittedBlocks = [] } = await repeat(target, signal, (abortSignal) =>
			client.getBlockList('uncommitted', { abortSignal }),
		);
		return uncommittedBlocks;
	} catch (error) {
		// Removed since it was listed.
		if (isMissing(error)) return [];
		throw error;
	}
}

/**
 * Drops our blocks of a key under which nothing is stored: by an empty object, which takes their place, and goes at once. For old
 * ones only: an upload of that key that is under way would lose its blocks.
 *
 * @returns whether there were any.
 */
export async function discardBlocks(
	target: AzureTarget,
	key: string,
	signal?: AbortSignal,
): Promise<boolean> {
	const client = target.container.getBlockBlobClient(key);
	if (await propertiesOf(target, key, signal)) return false;
	try {
		const { uncommittedBlocks = [] } = await repeat(target, signal, (abortSignal) =>
			client.getBlockList('uncommitted', { abortSignal }),
		);
		if (!uncommittedBlocks.every(({ name }) => isOurs(name))) return false;
		const { etag } = await repeat(target, signal, (abortSignal) =>
			client.commitBlockList([], { abortSignal, conditions: { ifNoneMatch: '*' } }),
		);
		await repeat(target, signal, (abortSignal) =>
			client.deleteIfExists({ abortSignal, conditions: { ...(etag !== undefined && { ifMatch: etag }) } }),
		);
		return true;
	} catch (error) {
		// Somebody has stored something there meanwhile: with that the blocks are gone.
		if (isTaken(error) || isMissing(error)) return false;
		throw error;
	}
}
