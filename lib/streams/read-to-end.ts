import type { Readable } from 'node:stream';

import { returnsTo } from './recycling';

/** Reads a stream to its end. @param use gets all its bytes, in order, and must keep none of them. Throws what the stream does. */
export async function readToEnd(stream: Readable, use?: (data: Buffer) => void): Promise<void> {
	const giveBack = returnsTo(stream);
	for await (const data of stream as AsyncIterable<Buffer>) {
		use?.(data);
		giveBack?.(data);
	}
}
