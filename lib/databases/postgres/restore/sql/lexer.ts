import { LifeboatError } from '../../../../errors';

import { countNewlines } from './newlines';
import { StatementScanner } from './scanner';

/** A piece of a SQL script. */
export type SqlItem = SqlStatement | SqlMetaCommand;

export interface SqlStatement {
	readonly kind: 'statement';
	/** Without its semicolon and without the comments before it, in the script's own encoding. */
	readonly sql: Buffer;
	/** Where it begins: the first line is 1. */
	readonly line: number;
	/** Its first words outside quotes and parentheses, in upper case: at most six. */
	readonly head: readonly string[];
	/** The statement is `COPY ... FROM STDIN`: its rows follow, and must be read with `copyData` before the next item. */
	readonly hasCopyData: boolean;
	/** The object that pg_dump's last comment before it names. */
	readonly object?: ObjectComment;
}

/** What pg_dump's comment before an object says: `-- Name: orders; Type: TABLE; Schema: public; Owner: clerk`. */
export interface ObjectComment {
	/** Its number in the table of contents, where the script tells it; else the comments are counted. */
	readonly id: number;
	/** As the table of contents has it: `TABLE`, `TABLE DATA`, `FK CONSTRAINT`, ... */
	readonly desc: string;
	readonly tag: string;
	readonly schema: string | undefined;
	readonly owner: string | undefined;
}

/** A line for psql itself, such as `\connect shop`. */
export interface SqlMetaCommand {
	readonly kind: 'meta-command';
	/** From its backslash to the end of its line. */
	readonly text: string;
	readonly line: number;
	/** It stands inside a statement, as `\gset` does. */
	readonly insideStatement: boolean;
}

/** What the comments of pg_dump say. */
export interface DumpComments {
	/** pg_dump's (or pg_dumpall's) header was seen. */
	header: boolean;
	/** The header is pg_dumpall's. */
	isCluster?: boolean;
	/** Its last line was seen. */
	trailer: boolean;
	/** Such as `17.10 (Debian 17.10-1.pgdg12+1)`: the server the dump was taken from. */
	serverVersion?: string;
}

export interface SqlLexerOptions {
	/** In bytes; 1 GiB unless given, which is what PostgreSQL itself takes. */
	maxStatementSize?: number;
}

const NEWLINE = 0x0a;
const RETURN = 0x0d;
const BACKSLASH = 0x5c;
const DOT = 0x2e;
const GIBIBYTE = 2 ** 30;
const longestMetaCommand = 65_536;
const endOfData = Buffer.from('\n\\.');

/**
 * Splits a SQL script as psql reads it into statements, blocks of rows and meta-commands, whatever the size of its
 * chunks. Rows pass through in chunks of the source; only the statement at hand is held in memory.
 */
export class SqlLexer {
	readonly comments: DumpComments = { header: false, trailer: false };

	/** Bytes of the script consumed so far. */
	position = 0;

	/** Something other than white space and comments was seen. */
	hasContent = false;

	private readonly source: AsyncIterator<Buffer | Uint8Array>;

	private readonly scanner = new StatementScanner();

	private readonly maxStatementSize: number;

	private chunk: Buffer = Buffer.alloc(0);

	private index = 0;

	/** Line on which `chunk[counted]` lies. */
	private line = 1;

	private counted = 0;

	private atStart = true;

	private object: ObjectComment | undefined;

	private objectCount = 0;

	private tocEntry: number | undefined;

	constructor(source: AsyncIterable<Buffer | Uint8Array>, options: SqlLexerOptions = {}) {
		this.source = source[Symbol.asyncIterator]();
		this.maxStatementSize = options.maxStatementSize ?? GIBIBYTE;
		this.scanner.onComment = (text) => this.noteComment(text);
	}

	/** What the session's setting of the same name is. The lexer follows a plain SET by itself. */
	set standardConformingStrings(on: boolean) {
		this.scanner.standardConformingStrings = on;
	}

	/** The client encoding of the session. The lexer follows a plain SET by itself. */
	set encoding(name: string) {
		this.scanner.encoding = name;
	}

	/**
	 * The next statement or meta-command; `undefined` at the end of the script.
	 *
	 * @throws LifeboatError `INCOMPLETE` when the script ends inside a statement, `STATEMENT_TOO_LONG`, or `INVALID_SQL`
	 * for a byte that no SQL text may hold.
	 */
	async next(): Promise<SqlItem | undefined> {
		const { scanner } = this;
		let parts: Buffer[] = [];
		let size = 0;
		let line = this.line;
		for (;;) {
			if (this.index >= this.chunk.length && !(await this.more())) {
				scanner.finish();
				if (scanner.atRest) return undefined;
				throw this.incomplete(
					`inside ${scanner.unfinished} that begins on line ${scanner.started ? line : this.line}`,
				);
			}
			const from = this.index;
			const end = scanner.scan(this.chunk, from);
			if (scanner.startedAt !== -1) {
				this.hasContent = true;
				this.comments.trailer = false;
				line = this.lineAt(scanner.startedAt);
			}
			this.advance(end);
			if (scanner.stop === 'backslash') return await this.metaCommand();
			const terminated = scanner.stop === 'end-of-statement';
			if (scanner.started) {
				const part = this.chunk.subarray(
					scanner.startedAt === -1 ? from : scanner.startedAt,
					terminated ? end - 1 : end,
				);
				size += part.length;
				if (size > this.maxStatementSize) throw this.tooLong(line);
				parts.push(part);
			}
			if (!terminated) continue;
			if (!scanner.started) {
				// A semicolon by itself.
				scanner.reset();
				continue;
			}
			const sql = parts.length === 1 ? parts[0]! : Buffer.concat(parts);
			const { head, copiesFromStdin } = scanner.words;
			scanner.reset();
			if (sql.includes(0)) throw this.zeroByte(line);
			this.followSettings(head, sql);
			if (copiesFromStdin) await this.endOfCopyLine(line);
			parts = [];
			const { object } = this;
			return {
				...{ kind: 'statement', sql, line, head, hasCopyData: copiesFromStdin },
				...(object && { object }),
			};
		}
	}

	/**
	 * The rows that follow a COPY statement, up to but without the line `\.`.
	 *
	 * @throws LifeboatError `INCOMPLETE` when the script ends before that line.
	 */
	async *copyData(): AsyncGenerator<Buffer, void, undefined> {
		const firstLine = this.line;
		let atLineStart = true;
		for (;;) {
			if (this.index >= this.chunk.length && !(await this.more())) {
				throw this.incomplete(
					`inside the rows of the COPY on line ${firstLine - 1}: the line \\. is missing`,
				);
			}
			const { chunk } = this;
			let from = this.index;
			// Where the end marker may begin: at the very start, or behind a line break.
			let marker = atLineStart && chunk[from] === BACKSLASH ? from : markerFrom(chunk, from);
			let verdict: MarkerVerdict = 'no';
			while (marker !== -1 && (verdict = endMarkerAt(chunk, marker)) === 'no') {
				marker = markerFrom(chunk, marker);
			}
			if (marker === -1 && chunk.length - from >= 2 && endsWithLineBreakAndBackslash(chunk)) {
				marker = chunk.length - 1;
				verdict = 'perhaps';
			}
			const dataEnd = marker === -1 ? chunk.length : marker;
			if (dataEnd > from) {
				const data = chunk.subarray(from, dataEnd);
				atLineStart = data[data.length - 1] === NEWLINE;
				this.advance(dataEnd);
				from = dataEnd;
				yield data;
			}
			if (marker === -1) continue;
			if (verdict === 'perhaps') {
				const rest = chunk.subarray(marker);
				if (await this.more(rest)) {
					atLineStart = true;
					continue;
				}
				// The script may end behind the marker without a line break.
				if (rest.length < 2) {
					throw this.incomplete(
						`inside the rows of the COPY on line ${firstLine - 1}: the line \\. is missing`,
					);
				}
				this.advance(chunk.length);
				return;
			}
			this.advance(chunk.indexOf(NEWLINE, marker) + 1);
			return;
		}
	}

	/** The line on which the next byte lies: behind a COPY statement, that of its first row. */
	get nextLine(): number {
		return this.lineAt(this.index);
	}

	/** Takes the next chunk of the source behind `carry`. @returns false at the end. */
	private async more(carry?: Buffer): Promise<boolean> {
		for (;;) {
			const result = await this.source.next();
			if (result.done) return false;
			let next = Buffer.from(result.value.buffer, result.value.byteOffset, result.value.length);
			if (next.length === 0) continue;
			if (carry && carry.length > 0) next = Buffer.concat([carry, next]);
			this.settleLine();
			if (this.atStart) {
				// Some editors put a byte order mark in front of UTF-8; psql skips it too.
				if (next.length < 3 && next.every((byte, at) => byte === byteOrderMark[at])) {
					carry = next;
					continue;
				}
				if (next.subarray(0, 3).equals(byteOrderMark)) {
					next = next.subarray(3);
					this.position = 3;
				}
				this.atStart = false;
				carry = undefined;
				if (next.length === 0) continue;
			}
			this.chunk = next;
			this.index = 0;
			this.counted = 0;
			return true;
		}
	}

	private advance(to: number): void {
		this.position += to - this.index;
		this.index = to;
	}

	private lineAt(index: number): number {
		if (index > this.counted) {
			this.line += countNewlines(this.chunk, this.counted, index);
			this.counted = index;
		}
		return this.line;
	}

	private settleLine(): void {
		this.lineAt(this.index);
	}

	private async metaCommand(): Promise<SqlMetaCommand> {
		const line = this.lineAt(this.index);
		const insideStatement = this.scanner.started;
		this.hasContent = true;
		const parts: Buffer[] = [];
		let size = 0;
		for (;;) {
			const newline = this.chunk.indexOf(NEWLINE, this.index);
			const part = this.chunk.subarray(this.index, newline === -1 ? this.chunk.length : newline);
			parts.push(part);
			size += part.length;
			this.advance(newline === -1 ? this.chunk.length : newline + 1);
			if (newline !== -1 || size > longestMetaCommand || !(await this.more())) break;
		}
		this.scanner.reset();
		return {
			kind: 'meta-command',
			text: Buffer.concat(parts).toString('utf8').trim(),
			line,
			insideStatement,
		};
	}

	/** The rows begin on the line below the statement: psql has read the rest of its line before. */
	private async endOfCopyLine(line: number): Promise<void> {
		let comment = '';
		for (;;) {
			if (this.index >= this.chunk.length && !(await this.more())) {
				throw this.incomplete(`behind the COPY on line ${line}, before its rows`);
			}
			const newline = this.chunk.indexOf(NEWLINE, this.index);
			const end = newline === -1 ? this.chunk.length : newline;
			if (comment.length < 200)
				comment += this.chunk.toString('latin1', this.index, Math.min(end, this.index + 200));
			this.advance(newline === -1 ? end : end + 1);
			if (newline === -1) continue;
			this.settleLine();
			if (/^\s*(--.*)?$/s.test(comment)) return;
			throw new LifeboatError(
				'INVALID_SQL',
				`Line ${line} of the script has something behind its COPY statement`,
				{
					hint: 'Put what follows the semicolon on a line of its own behind the rows',
				},
			);
		}
	}

	/** Settings that change how the next statements are to be read. */
	private followSettings(head: readonly string[], sql: Buffer): void {
		if (head[0] !== 'SET') return;
		const name = head[1] === 'SESSION' || head[1] === 'LOCAL' ? head[2] : head[1];
		if (name !== 'STANDARD_CONFORMING_STRINGS' && name !== 'CLIENT_ENCODING' && name !== 'NAMES') return;
		const value = /(?:=|\sTO\s|\sNAMES\s)\s*'?([\w-]+)/i.exec(sql.toString('latin1'))?.[1] ?? '';
		if (name === 'STANDARD_CONFORMING_STRINGS') {
			this.scanner.standardConformingStrings = !/^(off|false|no|0|f|n)$/i.test(value);
		} else this.scanner.encoding = value;
	}

	private noteComment(text: string): void {
		const entry = /^TOC entry (\d+) \(class /.exec(text)?.[1];
		if (entry !== undefined) this.tocEntry = Number(entry);
		// A name may hold anything but a line break: what follows it is told from the right.
		const [, tag, desc, schema, owner] = objectComment.exec(text) ?? [];
		if (tag !== undefined && desc !== undefined) {
			this.objectCount += 1;
			const decode = (part: string) => Buffer.from(part, 'latin1').toString('utf8');
			const unlessNone = (part = '-') => (part === '-' ? undefined : decode(part));
			this.object = {
				...{ id: this.tocEntry ?? this.objectCount, desc, tag: decode(tag) },
				...{ schema: unlessNone(schema), owner: unlessNone(owner) },
			};
			this.tocEntry = undefined;
			return;
		}
		if (/^PostgreSQL database (cluster )?dump$/.test(text)) {
			this.comments.header = true;
			if (text.includes(' cluster ')) this.comments.isCluster = true;
			this.comments.trailer = false;
		} else if (/^PostgreSQL database (cluster )?dump complete$/.test(text)) this.comments.trailer = true;
		else if (this.comments.serverVersion === undefined) {
			const version = /^Dumped from database version (.+)$/.exec(text)?.[1];
			if (version !== undefined) this.comments.serverVersion = version;
		}
	}

	private incomplete(where: string): LifeboatError {
		return new LifeboatError('INCOMPLETE', `The SQL script ends ${where}`, {
			hint: 'The file is cut off. Restore from another copy of this backup, or from an older one; a script written by hand needs a semicolon behind its last statement',
		});
	}

	private tooLong(line: number): LifeboatError {
		return new LifeboatError(
			'STATEMENT_TOO_LONG',
			`The statement that begins on line ${line} is longer than ${this.maxStatementSize} bytes`,
			{ hint: 'PostgreSQL takes no longer statement. Look at that line for a quote that is never closed' },
		);
	}

	private zeroByte(line: number): LifeboatError {
		return new LifeboatError('INVALID_SQL', `The statement that begins on line ${line} holds a zero byte`, {
			hint: 'This is no SQL text in an encoding that PostgreSQL takes: it may be UTF-16 or a damaged file',
		});
	}
}

const objectComment =
	/^(?:Data for |Statistics for )?Name: (.*); Type: ([A-Z][A-Z ]*); Schema: (.*); Owner: (.*?)(?:; Tablespace: .*)?$/s;

const byteOrderMark = Buffer.from([0xef, 0xbb, 0xbf]);

type MarkerVerdict = 'yes' | 'no' | 'perhaps';

/** Whether the line that starts at an index is `\.`; `perhaps` where the chunk ends too early to tell. */
function endMarkerAt(chunk: Buffer, at: number): MarkerVerdict {
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

/** The next line that starts like the end marker; -1 if there is none. */
function markerFrom(chunk: Buffer, from: number): number {
	const lineBreak = chunk.indexOf(endOfData, from);
	return lineBreak === -1 ? -1 : lineBreak + 1;
}
