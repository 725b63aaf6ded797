const NEWLINE = 0x0a;
const FOUR_NEWLINES = 0x0a0a0a0a;
const LOW_BITS = 0x7f7f7f7f;

/**
 * How many line breaks lie between two indexes.
 *
 * Four bytes at a time: every row of a restore passes here, and neither a call of `indexOf` for each line nor a loop over
 * bytes keeps out of the way.
 */
export function countNewlines(chunk: Buffer, from: number, to: number): number {
	let count = 0;
	let i = from;
	for (; i < to && (chunk.byteOffset + i) % 4 !== 0; i++) if (chunk[i] === NEWLINE) count += 1;
	if (to - i >= 4) {
		const words = new Int32Array(chunk.buffer, chunk.byteOffset + i, (to - i) >> 2);
		for (let at = 0; at < words.length; at++) {
			// The exact test for zero bytes of Hacker's Delight (section 6-1): the top bit of each byte that is one.
			const difference = words[at]! ^ FOUR_NEWLINES;
			const sum = ((difference & LOW_BITS) + LOW_BITS) | 0;
			const zeros = ~(sum | difference | LOW_BITS);
			if (zeros !== 0) count += Math.imul(zeros >>> 7, 0x01010101) >>> 24;
		}
		i += words.length * 4;
	}
	for (; i < to; i++) if (chunk[i] === NEWLINE) count += 1;
	return count;
}
