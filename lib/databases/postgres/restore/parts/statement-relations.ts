import { nameAt, tokensOf, type QualifiedName, type SqlToken } from '../sql/statement';

/** The table that a statement creates, changes or belongs to, and another, or the publication, that it needs. */
export function relationsOf(sql: Buffer): {
	relation?: QualifiedName;
	other?: QualifiedName;
	publication?: string;
} {
	const tokens = tokensOf(sql, 300);
	const isWord = (at: number, pattern: RegExp) =>
		tokens[at]?.kind === 'word' && pattern.test(tokens[at].text);
	const behind = (word: RegExp, from = 0): number => {
		const at = tokens.findIndex((_, index) => index >= from && isWord(index, word));
		return at === -1 ? -1 : at + 1;
	};
	const nameFrom = (at: number): QualifiedName | undefined => {
		let next = at;
		while (isWord(next, /^(?:ONLY|IF|NOT|EXISTS|TABLE|SEQUENCE|VIEW)$/)) next += 1;
		return at <= 0 ? undefined : strip(nameAt(tokens, next));
	};
	const found = (relation: QualifiedName | undefined, other?: QualifiedName) => ({
		...(relation && { relation }),
		...(other && { other }),
	});
	const verb = tokens[0]?.text;
	const kindAt = isWord(1, /^(?:UNIQUE|CONSTRAINT|UNLOGGED|MATERIALIZED|FOREIGN|OR)$/)
		? isWord(1, /^OR$/)
			? 3
			: 2
		: 1;
	if (verb === 'COPY') return found(nameFrom(1));
	if (verb === 'CREATE') {
		if (isWord(kindAt, /^(?:INDEX|TRIGGER|POLICY)$/) || isWord(kindAt + 1, /^TRIGGER$/))
			return found(nameFrom(behind(/^ON$/)));
		if (isWord(kindAt, /^RULE$/)) return found(nameFrom(behind(/^TO$/)));
		if (isWord(kindAt, /^STATISTICS$/)) return found(nameFrom(behind(/^FROM$/)));
		if (isWord(kindAt, /^(?:TABLE|VIEW|SEQUENCE)$/)) return found(nameFrom(kindAt + 1));
		return {};
	}
	if (verb === 'ALTER') {
		if (isWord(1, /^PUBLICATION$/)) {
			const add = behind(/^ADD$/, 3);
			const publication = nameAt(tokens, 2)?.name;
			return {
				...(publication !== undefined && { publication }),
				...(isWord(add, /^TABLE$/) && found(nameFrom(add))),
			};
		}
		if (!isWord(kindAt, /^(?:TABLE|INDEX|SEQUENCE|VIEW)$/)) return {};
		const relation = nameFrom(kindAt + 1);
		if (isWord(kindAt, /^SEQUENCE$/)) {
			const owner = columnTable(tokens, behind(/^OWNED$/) + 1);
			return found(relation, owner);
		}
		const other = nameFrom(behind(/^(?:REFERENCES|PARTITION)$/));
		return found(relation, other);
	}
	if (verb === 'COMMENT' || verb === 'SECURITY') {
		const on = behind(/^ON$/);
		if (isWord(on, /^COLUMN$/)) return found(columnTable(tokens, on + 1));
		if (isWord(on, /^(?:CONSTRAINT|TRIGGER|RULE|POLICY)$/)) return found(nameFrom(behind(/^ON$/, on)));
		if (isWord(on, /^(?:MATERIALIZED|FOREIGN)$/)) return found(nameFrom(on + 2));
		if (isWord(on, /^(?:TABLE|VIEW|SEQUENCE|INDEX|STATISTICS)$/)) return found(nameFrom(on + 1));
		return {};
	}
	if (verb === 'GRANT' || verb === 'REVOKE') {
		const on = behind(/^ON$/);
		return isWord(on, /^(?:TABLE|SEQUENCE)$/) ? found(nameFrom(on + 1)) : {};
	}
	return {};
}

function strip(name: (QualifiedName & { next: number }) | undefined): QualifiedName | undefined {
	return name && { schema: name.schema, name: name.name };
}

/** The table of `schema.table.column`. */
function columnTable(tokens: readonly SqlToken[], at: number): QualifiedName | undefined {
	const parts: string[] = [];
	for (let next = at; tokens[next] && /^(?:word|quoted)$/.test(tokens[next]!.kind); next += 2) {
		parts.push(tokens[next]!.name);
		if (tokens[next + 1]?.text !== '.') break;
	}
	const name = parts.at(-2);
	return name === undefined ? undefined : { schema: parts.at(-3), name };
}

/** The column list of a COPY statement, if it has one. */
export function copyColumns(sql: Buffer): string[] | undefined {
	return columnsBehind(tokensOf(sql, 20_000, sql.length), 1);
}

/** @param at where the name of a table stands. */
export function columnsBehind(tokens: readonly SqlToken[], at: number): string[] | undefined {
	const table = nameAt(tokens, at);
	if (!table || tokens[table.next]?.text !== '(') return undefined;
	const columns: string[] = [];
	for (let next = table.next + 1; tokens[next] && tokens[next]!.text !== ')'; next++)
		if (/^(?:word|quoted)$/.test(tokens[next]!.kind)) columns.push(tokens[next]!.name);
	return columns;
}
