import { pipeline } from 'node:stream/promises';

import { LifeboatError } from '../errors';

import type { GetOptions, Storage } from './storage';

/**
 * Reads a small object whole.
 *
 * @param limit bytes; what is longer is refused (`TOO_LARGE`) before it fills the memory.
 * @throws LifeboatError as `Storage.get`, and `NOT_TEXT` if it isn't UTF-8.
 */
export async function readText(
	storage: Storage,
	key: string,
	limit: number,
	options: GetOptions = {},
): Promise<string> {
	const chunks: Buffer[] = [];
	let size = 0;
	await pipeline(await storage.get(key, options), async (source: AsyncIterable<Buffer>) => {
		for await (const chunk of source) {
			size += chunk.length;
			if (size > limit) {
				throw new LifeboatError(
					'TOO_LARGE',
					`${key} in ${storage.description} is larger than ${limit} bytes`,
					{
						hint: 'It is not a file that Lifeboat wrote',
					},
				);
			}
			chunks.push(chunk);
		}
	});
	try {
		return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.concat(chunks));
	} catch (error) {
		throw new LifeboatError('NOT_TEXT', `${key} in ${storage.description} is not text`, {
			hint: 'It may be damaged, or belong to another program',
			cause: error,
		});
	}
}
