import type { Readable } from 'node:stream';

/** The most that OpenSSH takes in one packet. Other servers take less, and get it in several. */
export const BLOCK = 255 * 1024;

/** The bytes of a stream in blocks of equal size, the last one shorter. */
export async function* blocks(source: Readable): AsyncGenerator<Buffer, void, undefined> {
	let parts: Buffer[] = [];
	let length = 0;
	for await (const chunk of source as AsyncIterable<Buffer>) {
		let rest = chunk;
		while (length + rest.length >= BLOCK) {
			const end = BLOCK - length;
			parts.push(rest.subarray(0, end));
			yield parts.length === 1 ? parts[0]! : Buffer.concat(parts, BLOCK);
			rest = rest.subarray(end);
			parts = [];
			length = 0;
		}
		if (rest.length > 0) parts.push(rest);
		length += rest.length;
	}
	if (length > 0) yield Buffer.concat(parts, length);
}
