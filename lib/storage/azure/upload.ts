import type { BlobGetPropertiesResponse, BlockBlobClient } from '@azure/storage-blob';
import { createHash, randomUUID } from 'node:crypto';
import type { Readable } from 'node:stream';

import { LifeboatError } from '../../errors';
import { PartReader, sendParts } from '../parts';
import { persist } from '../persist';
import type { PutOptions } from '../storage';
import { alreadyExists, wrongLength } from '../taken';

import { blockSizes, MAX_BLOCKS } from './blocks';
import { hasStatus, isMissing, isTaken, mayPass } from './errors';
import { once, repeat, type AzureTarget } from './target';

/** Name of the object's metadata that tells which upload wrote it. */
const UPLOAD_ID = 'lifeboatupload';

/**
 * Stores a stream in blocks, of which nothing is visible before all of them are committed at once.
 *
 * A failure leaves the blocks that were sent, invisible: the service has no means to remove them alone. It drops them a week later,
 * with the next commit of that key, or by `discardBlocks`.
 *
 * @throws as `Storage.put`, SourceFailed, and what the SDK throws.
 */
export async function upload(
	target: AzureTarget,
	key: string,
	source: Readable,
	{ size, ifExists = 'fail', contentType, signal = new AbortController().signal }: PutOptions,
): Promise<{ size: number; properties: Committed }> {
	const client = target.container.getBlockBlobClient(key);
	const onlyNew = ifExists === 'fail';
	const uploadId = randomUUID();
	const reader = new PartReader(source);
	const cancel = () => reader.cancel(signal.reason);
	signal.addEventListener('abort', cancel, { once: true });
	try {
		signal.throwIfAborted();
		// Asked in any case: a refusal would otherwise come as a connection that is cut while a block is sent.
		if ((await propertiesOf(target, key, signal)) && onlyNew) throw alreadyExists(key, target.description);
		const sent = await sendBlocks(target, client, reader, { uploadId, size, signal });
		if (size !== undefined && size !== sent.size) throw wrongLength(key, size, sent.size);
		const properties = await commit(target, client, sent.blockIds, {
			uploadId,
			onlyNew,
			contentType,
			signal,
		});
		return { size: sent.size, properties };
	} finally {
		signal.removeEventListener('abort', cancel);
		source.destroy();
	}
}

/** What the service tells of an object. */
type Committed = Pick<BlobGetPropertiesResponse, 'etag' | 'lastModified'>;

/** Makes the object appear. */
async function commit(
	target: AzureTarget,
	client: BlockBlobClient,
	blockIds: string[],
	options: { uploadId: string; onlyNew: boolean; contentType: string | undefined; signal: AbortSignal },
): Promise<Committed> {
	const { uploadId, onlyNew, contentType = 'application/octet-stream', signal } = options;
	// Putting many blocks together takes the service its time.
	const patient = { ...target, timeout: 5 * target.timeout };
	try {
		return await persist({ patience: target.patience, signal, mayPass }, () =>
			once(patient, signal, (abortSignal) =>
				client.commitBlockList(blockIds, {
					...{ abortSignal, metadata: { [UPLOAD_ID]: uploadId } },
					blobHTTPHeaders: { blobContentType: contentType },
					...(onlyNew && { conditions: { ifNoneMatch: '*' } }),
				}),
			),
		);
	} catch (error) {
		if (!isTaken(error)) throw error;
		const there = await propertiesOf(target, client.name, signal);
		// When an answer was lost, the repetition meets its own success.
		if (there?.metadata?.[UPLOAD_ID] === uploadId) return there;
		throw onlyNew && there ? alreadyExists(client.name, target.description, error) : error;
	}
}

/** Sends a stream in blocks; see `sendParts`. */
async function sendBlocks(
	target: AzureTarget,
	client: BlockBlobClient,
	reader: PartReader,
	{ uploadId, size, signal }: { uploadId: string; size: number | undefined; signal: AbortSignal },
): Promise<{ size: number; blockIds: string[] }> {
	const blockSize = blockSizes(size);
	const blockIds: string[] = [];
	// A small object need not have a whole block's buffer.
	const sizes = (number: number) => Math.min(blockSize(number), Math.max(1, size ?? Infinity));
	const sent = await sendParts(reader, { sizes, signal }, async (number, body, stop) => {
		if (number > MAX_BLOCKS) throw tooManyBlocks(client.name);
		// All of the same length, as the service demands, and never those of another upload.
		const id = blockId(uploadId, number);
		blockIds.push(id);
		await persist({ patience: target.patience, signal: stop, mayPass }, () =>
			once(
				target,
				stop,
				(abortSignal) =>
					client.stageBlock(id, body, body.length, {
						abortSignal,
						// The service compares it with what has arrived.
						transactionalContentMD5: createHash('md5').update(body).digest(),
					}),
				body.length,
			),
		);
	});
	return { size: sent, blockIds };
}

function blockId(uploadId: string, number: number): string {
	return Buffer.from(`${uploadId}-${String(number).padStart(5, '0')}`).toString('base64');
}

/** What the service says of an object; nothing if it isn't there. */
export async function propertiesOf(
	target: AzureTarget,
	key: string,
	signal?: AbortSignal,
): Promise<BlobGetPropertiesResponse | undefined> {
	try {
		return await repeat(target, signal, (abortSignal) =>
			target.container.getBlobClient(key).getProperties({ abortSignal }),
		);
	} catch (error) {
		if (!isMissing(error)) throw error;
		await assertContainer(target, signal);
		return undefined;
	}
}

async function assertContainer(target: AzureTarget, signal: AbortSignal | undefined): Promise<void> {
	if (target.containerSeen) return;
	try {
		await repeat(target, signal, (abortSignal) => target.container.getProperties({ abortSignal }));
		target.containerSeen = true;
	} catch (error) {
		if (!hasStatus(error, 404)) throw error;
		throw new LifeboatError('CONTAINER_NOT_FOUND', `There is no ${target.description}`, {
			hint: 'Check its name and the account. Containers are not created by Lifeboat',
			cause: error,
		});
	}
}

function tooManyBlocks(key: string): LifeboatError {
	return new LifeboatError('FILE_TOO_LARGE', `${key} needs more than ${MAX_BLOCKS} blocks`, {
		hint: 'Hand the backup over as a file: its size is then known before, and the blocks chosen to fit',
	});
}
