import { NAME } from './name-pattern';

const ownerAtEnd = new RegExp(String.raw`\sOWNER\s+TO\s+${NAME}\s*$`, 'i');

/** Whether a statement is `ALTER ... OWNER TO role` and nothing besides. */
export function setsOnlyOwner(sql: Buffer): boolean {
	const text = sql.toString('latin1');
	const end = ownerAtEnd.exec(text);
	if (!end) return false;
	const rest = text.slice(0, end.index).replace(/"(?:[^"]|"")*"|'(?:[^']|'')*'/g, 'x');
	return !/,/.test(rest.replace(/\([^]*\)/, ''));
}
