import type { SequenceValue } from '../../../artifact/manifest';
import { unquoteIdentifier } from '../identifiers';

import { qualifiedIdentifier } from './cursor';

/** As pg_dump writes it; texts hold bytes as Latin-1 characters. */
const setval = /^SELECT pg_catalog\.setval\('((?:[^']|'')+)', (-?\d+), (true|false)\);$/;

/** What stands before each in a plain dump: the name in it may hold anything but line breaks. */
const inPlainText =
	/^-- (?:Data for )?Name: [^\n]*; Type: SEQUENCE SET; Schema: [^\n]*\n--\n\n(SELECT pg_catalog\.setval\('(?:[^']|'')+', -?\d+, (?:true|false)\);)\n/gm;

/** The longest of them: two names of 63 bytes, each quoted, thrice, and the owner's. */
const longest = 2048;

/** The value that a dump gives a sequence, from the statement that does; `undefined` if it isn't one. */
export function sequenceValue(statement: string): SequenceValue | undefined {
	const [, quoted, lastValue, isCalled] = setval.exec(statement.trim()) ?? [];
	const parts = quoted === undefined ? null : qualifiedIdentifier.exec(quoted.replaceAll("''", "'"));
	if (!parts || lastValue === undefined) return undefined;
	const text = (identifier: string) => Buffer.from(unquoteIdentifier(identifier), 'latin1').toString();
	return { schema: text(parts[1]!), name: text(parts[2]!), lastValue, isCalled: isCalled === 'true' };
}

/** Finds the values of sequences in the text of a plain dump (without its rows) that comes in pieces. */
export class SequenceScanner {
	readonly values: SequenceValue[] = [];

	private rest = '';

	push(bytes: Buffer): void {
		const text = this.rest + bytes.toString('latin1');
		let end = 0;
		for (const match of text.matchAll(inPlainText)) {
			const value = sequenceValue(match[1]!);
			if (value) this.values.push(value);
			end = match.index + match[0].length;
		}
		this.rest = text.slice(Math.max(end, text.length - longest));
	}
}
