import type { SqlStatement } from '../sql/lexer';
import { nameAt, tokensOf, type SqlToken } from '../sql/statement';

/** A statement that builds an index or checks a constraint: the work that follows the rows, and can be shared out. */
export interface BuildStatement {
	/** All of one kind may run in any order; foreign keys need the unique keys, so that they come behind. */
	kind: 'index' | 'foreign-key';
	/** The tables it locks, and how: none of them may be locked by two, unless both only read it. */
	locks: readonly { table: string; exclusive: boolean }[];
}

/** Statements that are quick and need the index or constraint that is being built: they run once all of those are there. */
const quickKinds = /^(?:CLUSTER|REPLICA)$/;

/** What a statement of the section behind the rows builds; undefined for any other. */
export function buildStatement({
	sql,
	head,
}: Pick<SqlStatement, 'sql' | 'head'>): BuildStatement | undefined {
	const [verb, second, third] = head;
	if (verb === 'CREATE' && (second === 'INDEX' || (second === 'UNIQUE' && third === 'INDEX'))) {
		const tokens = tokensOf(sql, 24);
		const table = nameBehind(tokens, 'ON');
		if (table === undefined || head.includes('CONCURRENTLY')) return undefined;
		return { kind: 'index', locks: [{ table, exclusive: false }] };
	}
	if (verb !== 'ALTER' || second !== 'TABLE') return undefined;
	const tokens = tokensOf(sql, 200);
	const table = nameBehind(tokens, 'TABLE');
	const at = tokens.findIndex(
		({ kind, text }, index) => kind === 'word' && text === 'ADD' && tokens[index + 1]?.text === 'CONSTRAINT',
	);
	if (table === undefined || at === -1) return undefined;
	// A comma outside parentheses joins several actions, of which only the first was looked at.
	if (hasTopLevelComma(tokens)) return undefined;
	if (tokens[at + 3]?.text !== 'FOREIGN') return { kind: 'index', locks: [{ table, exclusive: true }] };
	const referenced = nameBehind(tokens, 'REFERENCES');
	if (referenced === undefined) return undefined;
	return {
		kind: 'foreign-key',
		locks: [table, referenced].map((name) => ({ table: name, exclusive: true })),
	};
}

/** Whether a statement among those that build may wait until they are done, and those behind it need not wait for it. */
export function mayWaitForBuilds({ sql, head }: Pick<SqlStatement, 'sql' | 'head'>): boolean {
	const [verb, second] = head;
	if (verb === 'COMMENT') return true;
	if (verb !== 'ALTER') return false;
	return (
		second === 'INDEX' || (second === 'TABLE' && tokensOf(sql, 9).some(({ text }) => quickKinds.test(text)))
	);
}

function nameBehind(tokens: readonly SqlToken[], word: string): string | undefined {
	let at = tokens.findIndex(({ kind, text }) => kind === 'word' && text === word) + 1;
	if (at === 0) return undefined;
	while (tokens[at]?.kind === 'word' && /^(?:ONLY|IF|EXISTS)$/.test(tokens[at]!.text)) at += 1;
	const name = nameAt(tokens, at);
	return name && JSON.stringify([name.schema ?? null, name.name]);
}

function hasTopLevelComma(tokens: readonly SqlToken[]): boolean {
	let depth = 0;
	for (const { kind, text } of tokens) {
		if (kind !== 'other') continue;
		if (text === '(') depth += 1;
		else if (text === ')') depth -= 1;
		else if (text === ',' && depth === 0) return true;
	}
	return false;
}
