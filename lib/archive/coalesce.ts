const TARGET = 64 * 1024;

/** Joins small chunks, so that what follows is not called for every header block. */
export async function* coalesce(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, undefined> {
	let parts: Buffer[] = [];
	let length = 0;
	for await (const chunk of source) {
		if (length > 0 && length + chunk.length > TARGET) {
			yield Buffer.concat(parts, length);
			parts = [];
			length = 0;
		}
		if (chunk.length >= TARGET) yield chunk;
		else {
			parts.push(chunk);
			length += chunk.length;
		}
	}
	if (length > 0) yield Buffer.concat(parts, length);
}
