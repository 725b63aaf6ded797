import { findCopyEnd } from './copy-end';
import { DumpCommentReader, type DumpComments } from './dump-comments';
import type { SqlItem, SqlMetaCommand } from './items';
import { endsEarly, endsInRows, holdsZeroByte, statementTooLong, textBehindCopy } from './lexer-errors';
import { StatementScanner } from './scanner';
import { ScriptText } from './script-text';

export type { ObjectComment, SqlItem, SqlMetaCommand, SqlStatement } from './items';

export interface SqlLexerOptions {
	/** In bytes; 1 GiB unless given, which is what PostgreSQL itself takes. */
	maxStatementSize?: number;
}

const NEWLINE = 0x0a;
const GIBIBYTE = 2 ** 30;
const longestMetaCommand = 65_536;

/**
 * Splits a SQL script as psql reads it into statements, blocks of rows and meta-commands, whatever the size of its
 * chunks. Rows pass through in chunks of the source; only the statement at hand is held in memory.
 */
export class SqlLexer {
	/** Something other than white space and comments was seen. */
	hasContent = false;

	private readonly text: ScriptText;

	private readonly scanner = new StatementScanner();

	private readonly dump = new DumpCommentReader();

	private readonly maxStatementSize: number;

	constructor(source: AsyncIterable<Buffer | Uint8Array>, options: SqlLexerOptions = {}) {
		this.text = new ScriptText(source);
		this.maxStatementSize = options.maxStatementSize ?? GIBIBYTE;
		this.scanner.onComment = (text) => this.dump.note(text);
	}

	get comments(): DumpComments {
		return this.dump.comments;
	}

	/** Bytes of the script consumed so far. */
	get position(): number {
		return this.text.position;
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
		const { scanner, text } = this;
		let parts: Buffer[] = [];
		let size = 0;
		let line = text.lastLine;
		for (;;) {
			if (text.isUsedUp && !(await text.more())) {
				scanner.finish();
				if (scanner.atRest) return undefined;
				throw endsEarly(
					`inside ${scanner.unfinished} that begins on line ${scanner.started ? line : text.lastLine}`,
				);
			}
			const from = text.index;
			const end = scanner.scan(text.chunk, from);
			if (scanner.startedAt !== -1) {
				this.hasContent = true;
				this.comments.trailer = false;
				line = text.lineAt(scanner.startedAt);
			}
			text.advance(end);
			if (scanner.stop === 'backslash') return await this.metaCommand();
			const terminated = scanner.stop === 'end-of-statement';
			if (scanner.started) {
				const part = text.chunk.subarray(
					scanner.startedAt === -1 ? from : scanner.startedAt,
					terminated ? end - 1 : end,
				);
				size += part.length;
				if (size > this.maxStatementSize) throw statementTooLong(line, this.maxStatementSize);
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
			if (sql.includes(0)) throw holdsZeroByte(line);
			this.followSettings(head, sql);
			if (copiesFromStdin) await this.endOfCopyLine(line);
			parts = [];
			const { object } = this.dump;
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
		const { text } = this;
		const copyLine = text.lastLine - 1;
		let atLineStart = true;
		for (;;) {
			if (text.isUsedUp && !(await text.more())) throw endsInRows(copyLine);
			const { chunk, index } = text;
			const { at, isUncertain } = findCopyEnd(chunk, index, atLineStart);
			const dataEnd = at === -1 ? chunk.length : at;
			if (dataEnd > index) {
				const isWhole = index === 0 && dataEnd === chunk.length;
				const data = isWhole ? chunk : chunk.subarray(index, dataEnd);
				atLineStart = data[data.length - 1] === NEWLINE;
				text.advance(dataEnd);
				// Whoever takes a whole piece may give it back to the source: it is not looked at again.
				if (isWhole) text.lineAt(dataEnd);
				yield data;
			}
			if (at === -1) continue;
			if (!isUncertain) {
				text.advance(chunk.indexOf(NEWLINE, at) + 1);
				return;
			}
			const rest = chunk.subarray(at);
			if (await text.more(rest)) {
				atLineStart = true;
				continue;
			}
			// The script may end behind the line without a line break.
			if (rest.length < 2) throw endsInRows(copyLine);
			text.advance(chunk.length);
			return;
		}
	}

	/** The line on which the next byte lies: behind a COPY statement, that of its first row. */
	get nextLine(): number {
		return this.text.lineAt(this.text.index);
	}

	private async metaCommand(): Promise<SqlMetaCommand> {
		const { text } = this;
		const line = this.nextLine;
		const insideStatement = this.scanner.started;
		this.hasContent = true;
		const parts: Buffer[] = [];
		let size = 0;
		for (;;) {
			const newline = text.chunk.indexOf(NEWLINE, text.index);
			const part = text.chunk.subarray(text.index, newline === -1 ? text.chunk.length : newline);
			parts.push(part);
			size += part.length;
			text.advance(newline === -1 ? text.chunk.length : newline + 1);
			if (newline !== -1 || size > longestMetaCommand || !(await text.more())) break;
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
		const { text } = this;
		let comment = '';
		for (;;) {
			if (text.isUsedUp && !(await text.more()))
				throw endsEarly(`behind the COPY on line ${line}, before its rows`);
			const newline = text.chunk.indexOf(NEWLINE, text.index);
			const end = newline === -1 ? text.chunk.length : newline;
			if (comment.length < 200)
				comment += text.chunk.toString('latin1', text.index, Math.min(end, text.index + 200));
			text.advance(newline === -1 ? end : end + 1);
			if (newline === -1) continue;
			text.lineAt(text.index);
			if (/^\s*(--.*)?$/s.test(comment)) return;
			throw textBehindCopy(line);
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
}
