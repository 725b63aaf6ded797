const LONGEST_KEYWORD = 32;
const HEAD_WORDS = 6;
const LETTER_E = 0x65;

/**
 * Watches the words of a statement, byte by byte, for what decides where it ends: whether rows follow it, and whether it
 * is a routine whose body stands in BEGIN ATOMIC ... END.
 */
export class StatementWords {
	/** The first words outside parentheses and quotes, in upper case. */
	head: string[] = [];

	/** Whether the statement reads `COPY ... FROM STDIN`. */
	copiesFromStdin = false;

	/** How many END are still to come: semicolons before them end nothing. */
	bodyDepth = 0;

	private readonly word = new Uint8Array(LONGEST_KEYWORD);

	private length = 0;

	private last = '';

	private afterDot = false;

	/** Forgets the statement. */
	reset(): void {
		this.head = [];
		this.copiesFromStdin = false;
		this.bodyDepth = 0;
		this.length = 0;
		this.last = '';
		this.afterDot = false;
	}

	/** Begins a word, given the bytes of it that were passed already. */
	start(bytes: readonly number[] = []): void {
		this.length = 0;
		for (const byte of bytes) this.push(byte);
	}

	push(byte: number): void {
		if (this.length < LONGEST_KEYWORD) this.word[this.length] = byte;
		this.length += 1;
	}

	/** Whether the word is `E`, which makes a string behind it one with escapes. */
	get isE(): boolean {
		return this.length === 1 && (this.word[0]! | 0x20) === LETTER_E;
	}

	/** Something that is no word, white space or comment was passed. */
	interrupt(isDot: boolean, isQuoted: boolean): void {
		this.afterDot = isDot;
		if (isQuoted) this.last = '';
	}

	/** Ends the word. */
	end(isInParentheses: boolean): void {
		const { afterDot } = this;
		this.afterDot = false;
		if (isInParentheses) return;
		const [first] = this.head;
		const matters =
			this.head.length < HEAD_WORDS || first === 'COPY' || this.bodyDepth > 0 || this.isRoutine();
		if (!matters) return;
		const length = Math.min(this.length, LONGEST_KEYWORD);
		const word = Buffer.from(this.word.buffer, 0, length).toString('latin1').toUpperCase();
		if (this.head.length < HEAD_WORDS) this.head.push(word);
		if (first === 'COPY' && word === 'STDIN' && this.last === 'FROM') this.copiesFromStdin = true;
		if (this.bodyDepth > 0 && !afterDot) {
			if (word === 'CASE') this.bodyDepth += 1;
			else if (word === 'END') this.bodyDepth -= 1;
		} else if (word === 'ATOMIC' && this.last === 'BEGIN' && this.isRoutine()) this.bodyDepth = 1;
		this.last = afterDot ? '' : word;
	}

	/** Whether the statement reads `CREATE [OR REPLACE] FUNCTION|PROCEDURE`, the only ones with a body in BEGIN ATOMIC. */
	private isRoutine(): boolean {
		const [create, second, third, fourth] = this.head;
		if (create !== 'CREATE') return false;
		const kind = second === 'OR' && third === 'REPLACE' ? fourth : second;
		return kind === 'FUNCTION' || kind === 'PROCEDURE';
	}
}
