/** Pieces below it are joined up to it: each piece costs those who compress, hash and write it alike. */
const smallSize = 64 * 1024;

/** The same bytes in larger pieces. Large pieces are not copied. */
export async function* joinSmall(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
	let small: Buffer[] = [];
	let length = 0;
	for await (const bytes of source) {
		if (length > 0 && length + bytes.length > smallSize) {
			yield Buffer.concat(small, length);
			small = [];
			length = 0;
		}
		if (bytes.length >= smallSize) {
			yield bytes;
			continue;
		}
		small.push(bytes);
		length += bytes.length;
	}
	if (length > 0) yield Buffer.concat(small, length);
}
