const NEWLINE = 0x0a;

/** How many line breaks lie between two indexes. */
export function countNewlines(chunk: Buffer, from: number, to: number): number {
	let count = 0;
	// A plain loop beats a call of indexOf for each line as long as lines are short, which rows of a table are.
	for (let i = from; i < to; i++) if (chunk[i] === NEWLINE) count += 1;
	return count;
}
