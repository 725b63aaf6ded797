import type { Readable } from 'node:stream';

import { acceptOffer } from './neighbours';

/** Reads a stream to its end. @param use gets all its bytes, in order, and must keep none of them. Throws what the stream does. */
export async function readToEnd(stream: Readable, use?: (data: Buffer) => void): Promise<void> {
	const giveBack = acceptOffer(stream)?.giveBack;
	for await (const data of stream as AsyncIterable<Buffer>) {
		use?.(data);
		giveBack?.(data);
	}
}
