import { BlockComment } from './block-comment';
import {
	BACKSLASH,
	CLOSE,
	DASH,
	DOLLAR,
	DOT,
	DOUBLE_QUOTE,
	NEWLINE,
	OPEN,
	QUOTE,
	RETURN,
	SEMICOLON,
	SLASH,
	SPACE,
	STAR,
	TAB,
	wordBytes,
} from './bytes';
import { DollarQuote } from './dollar-quote';
import { LeadBytes } from './lead-bytes';
import { LineComment } from './line-comment';
import { StatementWords } from './statement-words';

/** Why a scan stopped before the end of the chunk. */
export type ScanStop = 'end-of-chunk' | 'end-of-statement' | 'backslash';

const enum State {
	Normal,
	Word,
	Dash,
	Slash,
	LineComment,
	BlockComment,
	/** String without escapes: only a quote ends it. */
	String,
	/** String in which a backslash escapes the next byte. */
	EscapeString,
	EscapeStringBackslash,
	/** Just behind the quote that ends a string: another one makes it an escaped quote. */
	AfterString,
	AfterEscapeString,
	QuotedIdentifier,
	DollarTag,
	DollarBody,
}

const openNames = new Map<State, string>([
	[State.String, 'a string'],
	[State.EscapeString, 'a string'],
	[State.EscapeStringBackslash, 'a string'],
	[State.QuotedIdentifier, 'a quoted name'],
	[State.DollarBody, 'a dollar-quoted string'],
	[State.BlockComment, 'a comment'],
]);

/**
 * Finds where SQL statements end, byte by byte and with no memory of what it has passed: the rules of psql's lexer
 * (`src/fe_utils/psqlscan.l` of PostgreSQL), in a form that can stop and go on at any byte.
 *
 * It works on bytes, so that any client encoding passes; `encoding` must be set for those that `LeadBytes` knows.
 */
export class StatementScanner {
	/** What the server's setting of the same name is: off makes a backslash an escape in every string. */
	standardConformingStrings = true;

	/** Where the statement's first byte was, if it was in the chunk scanned last; -1 otherwise. */
	startedAt = -1;

	/** Whether a statement has begun: its first byte that is neither white space nor comment was seen. */
	started = false;

	stop: ScanStop = 'end-of-chunk';

	/** What the statement is, as far as that decides where it ends. */
	readonly words = new StatementWords();

	/** Called with each line comment outside statements, without its dashes. */
	onComment: ((text: string) => void) | undefined;

	private state = State.Normal;

	private readonly blockComment = new BlockComment();

	private readonly lineComment = new LineComment();

	private readonly dollarQuote = new DollarQuote();

	private readonly leadBytes = new LeadBytes();

	private parentheses = 0;

	/** After an E'' string, one that goes on behind white space with a line break escapes too. */
	private continuation: 'none' | 'possible' | 'on next line' = 'none';

	private skipByte = false;

	/** The client encoding, by any of its names. */
	set encoding(name: string) {
		this.leadBytes.encoding = name;
	}

	/** Whether the input may end here: outside statements, strings and block comments. */
	get atRest(): boolean {
		const { state } = this;
		return !this.started && (state === State.Normal || state === State.LineComment);
	}

	/** What is open, for a message. */
	get unfinished(): string {
		return openNames.get(this.state) ?? 'a statement';
	}

	/** Forgets the statement just ended, so that the next one may begin. */
	reset(): void {
		this.started = false;
		this.startedAt = -1;
		this.words.reset();
		this.parentheses = 0;
		this.continuation = 'none';
		this.state = State.Normal;
		this.skipByte = false;
	}

	/** To be called at the end of input: a comment may end there without a line break. */
	finish(): void {
		if (this.state === State.LineComment) this.endLineComment();
	}

	/**
	 * Scans on from a byte of a chunk.
	 *
	 * @returns the index behind what was consumed: the end of the chunk, or behind the semicolon that ended a
	 * statement, or of a backslash that stands outside strings.
	 */
	scan(chunk: Buffer, from: number): number {
		this.startedAt = -1;
		const end = chunk.length;
		let i = from;
		while (i < end) {
			const byte = chunk[i]!;
			switch (this.state) {
				case State.Normal:
				case State.Word:
					if (this.skipByte) {
						this.skipByte = false;
						this.words.push(byte);
						i += 1;
						break;
					}
					if (this.state === State.Word) {
						if (wordBytes[byte] !== 0 || byte === DOLLAR) {
							this.words.push(byte);
							if (this.leadBytes.has(byte)) this.skipByte = true;
							i += 1;
							break;
						}
						this.state = State.Normal;
						if (byte === QUOTE && this.words.isE) {
							this.state = State.EscapeString;
							i += 1;
							break;
						}
						this.words.end(this.parentheses > 0);
					}
					if (!this.normal(byte, i)) {
						return byte === SEMICOLON ? i + 1 : i;
					}
					i += 1;
					break;
				case State.Dash:
					if (byte === DASH) {
						this.state = State.LineComment;
						this.lineComment.begin();
						i += 1;
					} else this.notAComment(i);
					break;
				case State.Slash:
					if (byte === STAR) {
						this.state = State.BlockComment;
						this.blockComment.begin();
						this.continuation = 'none';
						i += 1;
					} else this.notAComment(i);
					break;
				case State.LineComment: {
					const line = this.lineComment.endIn(chunk, i, !this.started);
					if (line !== -1) this.endLineComment();
					i = line === -1 ? end : line;
					break;
				}
				case State.BlockComment:
					if (this.blockComment.endsWith(byte)) this.state = State.Normal;
					i += 1;
					break;
				case State.String: {
					const quote = chunk.indexOf(QUOTE, i);
					if (quote === -1) i = end;
					else {
						i = quote + 1;
						this.state = State.AfterString;
					}
					break;
				}
				case State.EscapeString:
					if (this.skipByte) this.skipByte = false;
					else if (byte === BACKSLASH) this.state = State.EscapeStringBackslash;
					else if (byte === QUOTE) this.state = State.AfterEscapeString;
					else if (byte >= 0x80 && this.leadBytes.has(byte)) this.skipByte = true;
					i += 1;
					break;
				case State.EscapeStringBackslash:
					if (byte >= 0x80 && this.leadBytes.has(byte)) this.skipByte = true;
					this.state = State.EscapeString;
					i += 1;
					break;
				case State.AfterString:
				case State.AfterEscapeString: {
					const escapes = this.state === State.AfterEscapeString;
					if (byte === QUOTE) {
						this.state = escapes ? State.EscapeString : State.String;
						i += 1;
					} else {
						this.state = State.Normal;
						this.continuation = escapes ? 'possible' : 'none';
					}
					break;
				}
				case State.QuotedIdentifier: {
					// A doubled quote ends one name and starts another: the same to whoever looks for the end.
					const quote = chunk.indexOf(DOUBLE_QUOTE, i);
					if (quote === -1) i = end;
					else {
						i = quote + 1;
						this.state = State.Normal;
					}
					break;
				}
				case State.DollarTag:
					i = this.dollarTag(byte, i);
					break;
				case State.DollarBody: {
					const behind = this.dollarQuote.endIn(chunk, i);
					if (behind !== -1) this.state = State.Normal;
					i = behind === -1 ? end : behind;
					break;
				}
			}
		}
		this.stop = 'end-of-chunk';
		return end;
	}

	/** One byte outside words, strings and comments. @returns false where the scan has to stop. */
	private normal(byte: number, at: number): boolean {
		if (byte === SPACE || (byte >= TAB && byte <= RETURN)) {
			if ((byte === NEWLINE || byte === RETURN) && this.continuation === 'possible')
				this.continuation = 'on next line';
			return true;
		}
		if (byte === DASH) {
			this.state = State.Dash;
			return true;
		}
		if (byte === SLASH) {
			this.state = State.Slash;
			return true;
		}
		if (byte === BACKSLASH) {
			this.stop = 'backslash';
			return false;
		}
		const { continuation } = this;
		this.continuation = 'none';
		if (byte === SEMICOLON) {
			if (this.parentheses === 0 && this.words.bodyDepth === 0) {
				this.stop = 'end-of-statement';
				return false;
			}
			return true;
		}
		this.mark(at);
		if (wordBytes[byte] === 1) {
			this.state = State.Word;
			this.words.start([byte]);
			if (this.leadBytes.has(byte)) this.skipByte = true;
			return true;
		}
		if (byte === QUOTE) {
			const escapes = !this.standardConformingStrings || continuation === 'on next line';
			this.state = escapes ? State.EscapeString : State.String;
		} else if (byte === DOUBLE_QUOTE) {
			this.state = State.QuotedIdentifier;
		} else if (byte === DOLLAR) {
			this.state = State.DollarTag;
			this.dollarQuote.begin();
		} else if (byte === OPEN) this.parentheses += 1;
		else if (byte === CLOSE) this.parentheses = Math.max(0, this.parentheses - 1);
		this.words.interrupt(byte === DOT, byte === DOUBLE_QUOTE);
		return true;
	}

	private mark(at: number): void {
		if (this.started) return;
		this.started = true;
		this.startedAt = at;
	}

	private notAComment(at: number): void {
		this.state = State.Normal;
		this.continuation = 'none';
		this.words.interrupt(false, false);
		// The dash or slash itself may lie in an earlier chunk. No statement starts with one, so losing it only
		// changes which syntax error the server reports.
		this.mark(at);
	}

	private endLineComment(): void {
		this.state = State.Normal;
		if (this.started || !this.onComment) return;
		this.onComment(this.lineComment.text);
	}

	private dollarTag(byte: number, at: number): number {
		const found = this.dollarQuote.tagByte(byte);
		if (found === 'open') this.state = State.DollarBody;
		if (found !== 'none') return at + 1;
		// A parameter such as $1: what followed the dollar is an ordinary word.
		const { word } = this.dollarQuote;
		this.words.start(word);
		this.state = word.length > 0 ? State.Word : State.Normal;
		return at;
	}
}
