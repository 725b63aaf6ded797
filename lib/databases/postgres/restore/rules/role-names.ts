import { quoteIdentifier } from '../../identifiers';

import { tokensOf, type SqlToken } from '../sql/statement';

/** Which role takes the place of which, by their names as they are, without quotes. */
export type RoleMap = Readonly<Record<string, string>>;

/** A statement with other roles in it: owners, who is granted something, whom a policy is for, whose defaults they are. */
export function withRoles(sql: Buffer, head: readonly string[], roles: RoleMap): Buffer {
	if (Object.keys(roles).length === 0 || !concerned.test(head[0] ?? '')) return sql;
	const tokens = tokensOf(sql, 4000);
	const parts: Buffer[] = [];
	let from = 0;
	for (const at of roleTokens(tokens, head)) {
		const token = tokens[at]!;
		const name = token.kind === 'string' ? token.text.slice(1, -1).replaceAll("''", "'") : token.name;
		const to = Object.hasOwn(roles, name) ? roles[name] : undefined;
		if (to === undefined || token.start < from) continue;
		parts.push(sql.subarray(from, token.start), Buffer.from(quoteIdentifier(to)));
		from = token.end;
	}
	return parts.length === 0 ? sql : Buffer.concat([...parts, sql.subarray(from)]);
}

const concerned = /^(?:ALTER|GRANT|REVOKE|SET|CREATE)$/;

/** Where roles are named, in the order of the statement. */
function roleTokens(tokens: readonly SqlToken[], head: readonly string[]): number[] {
	const found: number[] = [];
	const depths = depthsOf(tokens);
	const isWord = (at: number, ...words: string[]) =>
		words.every((word, index) => tokens[at + index]?.kind === 'word' && tokens[at + index]!.text === word);
	/** Names that follow, with commas between them. */
	const list = (at: number) => {
		for (
			let next = isWord(at, 'GROUP') ? at + 1 : at;
			/^(?:word|quoted|string)$/.test(tokens[next]?.kind ?? '');
			next += 2
		) {
			found.push(next);
			if (tokens[next + 1]?.text !== ',') break;
		}
	};
	const [verb, second] = head;
	const isGrant = verb === 'GRANT' || verb === 'REVOKE' || (verb === 'ALTER' && second === 'DEFAULT');
	for (const [at] of tokens.entries()) {
		if (depths[at] !== 0) continue;
		if (verb === 'ALTER' && isWord(at, 'OWNER', 'TO')) list(at + 2);
		else if (verb === 'SET' && isWord(at, 'SESSION', 'AUTHORIZATION')) list(at + 2);
		else if (isGrant && (isWord(at, 'TO') || isWord(at, 'FROM'))) list(at + 1);
		else if (isGrant && isWord(at, 'GRANTED', 'BY')) list(at + 2);
		else if (
			isGrant &&
			second === 'DEFAULT' &&
			isWord(at, 'FOR') &&
			/^(?:ROLE|USER)$/.test(tokens[at + 1]?.text ?? '')
		)
			list(at + 2);
		else if (verb === 'ALTER' && /^(?:ROLE|USER)$/.test(second ?? '') && at === 2 && isWord(at + 1, 'IN'))
			list(at);
		else if (verb === 'CREATE' && second === 'SCHEMA' && isWord(at, 'AUTHORIZATION')) list(at + 1);
		else if (verb === 'CREATE' && second === 'POLICY' && isWord(at, 'TO')) list(at + 1);
		else if (second === 'USER' && isWord(at, 'MAPPING', 'FOR')) list(at + 2);
	}
	return found;
}

function depthsOf(tokens: readonly SqlToken[]): number[] {
	let depth = 0;
	return tokens.map(({ kind, text }) => {
		if (kind === 'other' && text === '(') depth += 1;
		const at = depth;
		if (kind === 'other' && text === ')') depth -= 1;
		return at;
	});
}
