const NEWLINE = 0x0a;
const RETURN = 0x0d;
const BACKSLASH = 0x5c;
const DOT = 0x2e;
const endOfData = Buffer.from('\n\\.');

/** Where the rows of a COPY statement end: before the line `\.`. */
export interface CopyEnd {
	/** The index of the line; -1 where none is in the chunk. */
	at: number;
	/** The chunk ends too early to tell. */
	isUncertain: boolean;
}

/**
 * Looks for the end of the rows of a COPY statement in a chunk.
 *
 * @param atLineStart whether a line starts at `from`.
 */
export function findCopyEnd(chunk: Buffer, from: number, atLineStart: boolean): CopyEnd {
	// Where the line may begin: at the very start, or behind a line break.
	let at = atLineStart && chunk[from] === BACKSLASH ? from : candidateFrom(chunk, from);
	let verdict: Verdict = 'no';
	while (at !== -1 && (verdict = isEndAt(chunk, at)) === 'no') at = candidateFrom(chunk, at);
	if (at === -1 && chunk.length - from >= 2 && endsWithLineBreakAndBackslash(chunk))
		return { at: chunk.length - 1, isUncertain: true };
	return { at, isUncertain: verdict === 'perhaps' };
}

type Verdict = 'yes' | 'no' | 'perhaps';

/** Whether the line that starts at an index is `\.`; `perhaps` where the chunk ends too early to tell. */
function isEndAt(chunk: Buffer, at: number): Verdict {
	if (at + 1 >= chunk.length) return 'perhaps';
	if (chunk[at + 1] !== DOT) return 'no';
	if (at + 2 >= chunk.length) return 'perhaps';
	if (chunk[at + 2] === NEWLINE) return 'yes';
	if (chunk[at + 2] !== RETURN) return 'no';
	if (at + 3 >= chunk.length) return 'perhaps';
	return chunk[at + 3] === NEWLINE ? 'yes' : 'no';
}

function endsWithLineBreakAndBackslash(chunk: Buffer): boolean {
	return chunk[chunk.length - 1] === BACKSLASH && chunk[chunk.length - 2] === NEWLINE;
}

/** The next line that starts like the end; -1 if there is none. */
function candidateFrom(chunk: Buffer, from: number): number {
	const lineBreak = chunk.indexOf(endOfData, from);
	return lineBreak === -1 ? -1 : lineBreak + 1;
}
