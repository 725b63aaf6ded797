import { damaged } from '../failures';

const BEGIN = /^[\t\r\n ]*-----BEGIN PGP MESSAGE-----[\t ]*\r?\n/;

/** Bytes within which the armour's own headers must end. */
const MAX_START = 16 * 1024;

/**
 * Decodes ASCII armour (RFC 9580, section 6) where a file starts with it, and passes binary files as they are. Its checksum is
 * not looked at: what it encloses has a real one.
 */
export async function* dearmored(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, undefined> {
	let state: 'start' | 'binary' | 'body' | 'ended' = 'start';
	let pending: Buffer = Buffer.alloc(0);
	let text = '';
	for await (const data of source) {
		if (state === 'start') {
			pending = Buffer.concat([pending, data]);
			// Every packet starts with a byte of which no text has the like.
			if (pending[0]! & 0x80) {
				state = 'binary';
				yield pending;
				continue;
			}
			const body = endOfStart(pending);
			if (body === undefined && pending.length < MAX_START) continue;
			if (body === undefined) throw damaged('does not start as an OpenPGP message does');
			state = 'body';
			text = pending.toString('latin1', body);
		} else if (state === 'binary') {
			yield data;
			continue;
		} else if (state === 'body') {
			text += data.toString('latin1');
		}
		if (state === 'body') {
			const end = text.search(/^[=-]/m);
			const lines = end === -1 ? text.slice(0, text.lastIndexOf('\n') + 1) : text.slice(0, end);
			const rest = end === -1 ? text.slice(lines.length) : '';
			const base64 = lines.replaceAll(/[\r\n]/g, '');
			if (!/^[A-Za-z0-9+/]*={0,2}$/.test(base64) || rest.length > 1024) {
				throw damaged('has a malformed line in its ASCII armour');
			}
			const whole = end === -1 ? base64.length - (base64.length % 4) : base64.length;
			text = base64.slice(whole) + rest;
			if (end !== -1) state = 'ended';
			if (whole > 0) yield Buffer.from(base64.slice(0, whole), 'base64');
		}
	}
	if (state === 'start')
		throw damaged(pending.length === 0 ? 'is empty' : 'does not start as an OpenPGP message does');
	if (state === 'body') throw damaged('ends before the last line of its ASCII armour');
}

/** Where the body starts: behind the first line and its headers, which an empty line ends. */
function endOfStart(start: Buffer): number | undefined {
	const text = start.toString('latin1', 0, MAX_START);
	const [begin] = BEGIN.exec(text) ?? [];
	if (begin === undefined) return undefined;
	const [headers] = /^(?:[^\r\n]+\r?\n)*?[\t ]*\r?\n/.exec(text.slice(begin.length)) ?? [];
	return headers === undefined ? undefined : begin.length + headers.length;
}
