import type { Client } from 'pg';

import { nameAt, tokensOf } from '../sql/statement';
import { copyRaw, rowsOf, runRaw } from '../script/wire';

const STAGE = 'pg_temp.lifeboat_rows';

/**
 * Loads the rows of a COPY statement beside a table, then those into it whose primary key it doesn't have.
 *
 * @param key the columns of the primary key.
 * @returns how many rows there were, and how many of them are new. @throws BatchError
 */
export async function mergeCopy(
	client: Client,
	statement: Buffer,
	key: readonly string[],
	rows: AsyncIterable<Buffer>,
	onBytes?: (bytes: number) => void,
): Promise<{ rows: number; added: number }> {
	const tokens = tokensOf(statement, 20_000, statement.length);
	const next = nameAt(tokens, 1)!.next;
	const table = statement.subarray(tokens[1]!.start, tokens[next - 1]!.end);
	const close = tokens.findIndex(({ text }, at) => at > next && text === ')');
	const isListed = tokens[next]?.text === '(' && close !== -1;
	const columns = isListed ? statement.subarray(tokens[next]!.end, tokens[close]!.start) : undefined;
	const rest = statement.subarray(isListed ? tokens[close]!.end : tokens[next - 1]!.end);
	const sql = (...parts: (string | Buffer)[]) =>
		Buffer.concat(parts.map((part) => Buffer.from(part as string)));
	const list = columns ? sql('(', columns, ')') : '';
	await runRaw(client, [
		sql(
			`CREATE TEMPORARY TABLE lifeboat_rows ON COMMIT DROP AS SELECT `,
			columns ?? '*',
			' FROM ',
			table,
			' WITH NO DATA',
		),
	]);
	const read = await copyRaw(client, sql(`COPY ${STAGE} `, list, rest), rows, onBytes);
	const [tag] = await runRaw(client, [
		sql(
			...[
				'INSERT INTO ',
				table,
				' ',
				list,
				' OVERRIDING SYSTEM VALUE SELECT ',
				columns ?? '*',
				` FROM ${STAGE} `,
			],
			`ON CONFLICT (${key.map(quoteAscii).join(', ')}) DO NOTHING`,
		),
	]);
	await runRaw(client, [Buffer.from(`DROP TABLE ${STAGE}`)]);
	return { rows: read, added: rowsOf(tag) };
}

/** A quoted name without any character that depends on the client's encoding. */
export function quoteAscii(name: string): string {
	const escaped = name.replaceAll('\\', '\\\\').replaceAll('"', '""');
	return `U&"${escaped.replace(/[^\x20-\x7e]/gu, (character) => `\\+${character.codePointAt(0)!.toString(16).padStart(6, '0')}`)}"`;
}
