/** A word, quoted name, string, or single other character of a statement. */
export interface SqlToken {
	readonly kind: 'word' | 'quoted' | 'string' | 'other';
	/** Words in upper case; quoted names without their quotes; strings as they stand. */
	readonly text: string;
	/** Names as PostgreSQL takes them: words in lower case. */
	readonly name: string;
	/** Byte offsets in the statement. */
	readonly start: number;
	readonly end: number;
}

/** A name with its schema, if that is given. */
export interface QualifiedName {
	readonly schema: string | undefined;
	readonly name: string;
}

/** What a statement does, such as `ALTER TABLE`, and to what, such as `public.orders`. */
export interface StatementDescription {
	readonly kind: string;
	readonly object: string | undefined;
}

const tokenPattern =
	/\s+|--[^\n\r]*|\/\*[^]*?\*\/|(?<quoted>"(?:[^"]|"")*")|(?<string>[eE]?'(?:[^']|'')*')|(?<word>[A-Za-z_\x80-\xff][\w$\x80-\xff]*)|(?<other>[^])/g;

/**
 * The first tokens of a statement. What it tells is used to name and to sort statements, never to run them: inside
 * long bodies it is not exact, and it doesn't look there.
 *
 * @param limit how many tokens at most. @param bytes how far into the statement; all of it for a list of columns.
 */
export function tokensOf(sql: Buffer, limit = 40, bytes = 16_384): SqlToken[] {
	// As Latin-1 a byte is a character, so that offsets hold in every encoding.
	const text = sql.toString('latin1', 0, bytes);
	const tokens: SqlToken[] = [];
	for (const match of text.matchAll(tokenPattern)) {
		const { groups } = match;
		const start = match.index;
		const end = start + match[0].length;
		const decoded = sql.toString('utf8', start, end);
		if (groups?.quoted !== undefined) {
			const name = decoded.slice(1, -1).replaceAll('""', '"');
			tokens.push({ kind: 'quoted', text: name, name, start, end });
		} else if (groups?.string !== undefined) {
			tokens.push({ kind: 'string', text: decoded, name: decoded, start, end });
		} else if (groups?.word !== undefined) {
			const name = decoded.replace(/[A-Z]+/g, (upper) => upper.toLowerCase());
			tokens.push({ kind: 'word', text: decoded.toUpperCase(), name, start, end });
		} else if (groups?.other !== undefined) {
			tokens.push({ kind: 'other', text: decoded, name: decoded, start, end });
		}
		if (tokens.length >= limit) break;
	}
	return tokens;
}

/** The name that starts at a token: `orders`, `public.orders`, `"Shop"."Orders"`. */
export function nameAt(
	tokens: readonly SqlToken[],
	at: number,
): (QualifiedName & { next: number }) | undefined {
	const first = tokens[at];
	if (!first || (first.kind !== 'word' && first.kind !== 'quoted')) return undefined;
	const parts = [first.name];
	let next = at + 1;
	while (tokens[next]?.text === '.' && tokens[next]?.kind === 'other') {
		const part = tokens[next + 1];
		if (!part || (part.kind !== 'word' && part.kind !== 'quoted')) break;
		parts.push(part.name);
		next += 2;
	}
	return { schema: parts.at(-2), name: parts.at(-1)!, next };
}

const kinds =
	'TABLE|VIEW|MATERIALIZED VIEW|FOREIGN TABLE|INDEX|SEQUENCE|SCHEMA|EXTENSION|TYPE|DOMAIN|FUNCTION|PROCEDURE|AGGREGATE|ROUTINE|' +
	'OPERATOR|OPERATOR CLASS|OPERATOR FAMILY|CAST|TRANSFORM|COLLATION|CONVERSION|LANGUAGE|ACCESS METHOD|TRIGGER|EVENT TRIGGER|RULE|' +
	'POLICY|CONSTRAINT|COLUMN|STATISTICS|SERVER|FOREIGN DATA WRAPPER|USER MAPPING|PUBLICATION|SUBSCRIPTION|DATABASE|ROLE|USER|GROUP|' +
	'TABLESPACE|LARGE OBJECT|DEFAULT PRIVILEGES|TEXT SEARCH CONFIGURATION|TEXT SEARCH DICTIONARY|TEXT SEARCH PARSER|' +
	'TEXT SEARCH TEMPLATE|SYSTEM';
/** Longest first, so that `OPERATOR CLASS` isn't taken for an operator named "class". */
const kindWords = kinds
	.split('|')
	.map((kind) => kind.split(' '))
	.toSorted((a, b) => b.length - a.length);

const fillers = new Set('IF NOT EXISTS ONLY CONCURRENTLY FOR'.split(' '));

/** Names a statement by what it does and the object it does it to, as far as its first words tell. */
export function describeStatement(sql: Buffer): StatementDescription {
	const tokens = tokensOf(sql);
	const isWord = (at: number, ...texts: string[]) =>
		tokens[at]?.kind === 'word' && texts.includes(tokens[at].text);
	const verb = tokens[0]?.text ?? '';
	const objectAt = (kind: string, at: number): StatementDescription => {
		let next = at;
		while (tokens[next]?.kind === 'word' && fillers.has(tokens[next]!.text)) next += 1;
		const name = nameAt(tokens, next);
		return {
			kind,
			object:
				name &&
				tokens
					.slice(next, name.next)
					.map((token) => token.name)
					.join(''),
		};
	};
	switch (verb) {
		case 'COPY':
			return objectAt(verb, 1);
		case 'INSERT':
		case 'DELETE':
			return objectAt(`${verb} ${tokens[1]?.text ?? ''}`.trim(), 2);
		case 'CREATE':
		case 'ALTER':
		case 'DROP':
		case 'COMMENT':
		case 'GRANT':
		case 'REVOKE':
		case 'REFRESH':
		case 'SECURITY':
			break;
		default:
			return { kind: isWord(0, 'SET') ? `SET ${tokens[1]?.name ?? ''}`.trim() : verb, object: undefined };
	}
	const behindOn = ['COMMENT', 'GRANT', 'REVOKE', 'SECURITY'].includes(verb);
	let at = behindOn ? tokens.findIndex((_, index) => isWord(index, 'ON')) + 1 : 1;
	if (at === 0) return { kind: verb, object: undefined };
	for (; at < tokens.length; at++) {
		const found = kindWords.find((words) => words.every((word, offset) => isWord(at + offset, word)));
		if (found) return objectAt([verb, ...found].join(' '), at + found.length);
		// Only words such as OR REPLACE may stand before the kind; GRANT ... ON may go without one.
		if (tokens[at]!.kind !== 'word' || behindOn) return objectAt(verb, at);
	}
	return { kind: verb, object: undefined };
}

/** For progress and warnings: what a statement does, in a few words. */
export function summarize(sql: Buffer): string {
	const { kind, object } = describeStatement(sql);
	return object === undefined ? kind : `${kind} ${object}`;
}

/** The start of a statement for a message: its first line, with the content of strings left out, as it may be secret. */
export function excerpt(sql: Buffer, length = 120): string {
	const text = sql.toString('utf8', 0, 4096).replace(/'(?:[^']|'')*(?:'|$)/g, "'…'");
	const [line = ''] = text.split(/[\r\n]/, 1);
	const cut = line.length > length || line.length < text.length;
	return line.slice(0, length).trimEnd() + (cut ? ' …' : '');
}
