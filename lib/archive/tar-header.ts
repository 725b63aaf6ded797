import { isUtf8 } from 'node:buffer';

import { LifeboatError } from '../errors';

/** What an entry is. */
export type EntryType = 'file' | 'folder' | 'symlink' | 'hardlink' | 'device' | 'fifo';

/** An entry of an archive, as its headers describe it. */
export interface EntryHeader {
	type: EntryType;
	/** As stored, checked by nobody: see `safe-name`. */
	name: string;
	/** Target of a link. */
	linkName: string;
	/** Bytes of content. */
	size: number;
	/** Permission bits with set-user-ID, set-group-ID and sticky. */
	mode: number;
	uid: number;
	gid: number;
	/** Seconds since 1970, with a fraction. */
	mtime: number;
}

/** One 512-byte header block, before extended headers are applied. Strings stay bytes, for those may replace them. */
export interface HeaderBlock {
	typeFlag: string;
	name: Buffer;
	linkName: Buffer;
	size: number;
	mode: number;
	uid: number;
	gid: number;
	mtime: number;
}

export const BLOCK_SIZE = 512;

/** An archive whose bytes can't be right. */
export function damaged(detail: string, offset?: number, cause?: unknown): LifeboatError {
	return new LifeboatError(
		'DAMAGED',
		`The archive is damaged${offset === undefined ? '' : ` at byte ${offset}`}: ${detail}`,
		{ hint: 'Do not use this copy. Take the same backup from another destination, or an older one', cause },
	);
}

/** An archive that may be right, but uses what this package does not read. */
export function unsupported(detail: string): LifeboatError {
	return new LifeboatError('UNSUPPORTED_FORMAT', `The archive holds ${detail}`, {
		hint: 'Unpack it by hand with GNU tar or bsdtar',
	});
}

/**
 * Decodes a header block of the ustar, GNU, pax or seventh-edition format (POSIX.1-2017, pax, "ustar Interchange Format"; GNU
 * tar manual, "Basic Tar Format"). Stricter than the libraries, which take what they can't read for zero: a field that isn't a number, or a
 * checksum that differs, is damage.
 *
 * @param offset where the block lies, for errors.
 * @throws LifeboatError `DAMAGED`.
 */
export function decodeHeader(block: Buffer, offset: number): HeaderBlock {
	const number = (start: number, length: number, field: string) =>
		decodeNumber(block.subarray(start, start + length), field, offset);
	let sum = 8 * 0x20;
	for (let i = 0; i < 148; i++) sum += block[i]!;
	for (let i = 156; i < BLOCK_SIZE; i++) sum += block[i]!;
	if (number(148, 8, 'checksum') !== sum) throw damaged('an entry header has a wrong checksum', offset);

	const isUstar = block.toString('latin1', 257, 263) === 'ustar\0';
	// GNU's own format keeps other things where ustar has the prefix.
	const prefix = isUstar ? text(block, 345, 155) : Buffer.alloc(0);
	const name = text(block, 0, 100);
	const typeFlag = block[156] === 0 ? '0' : String.fromCharCode(block[156]!);
	const header: HeaderBlock = {
		typeFlag,
		name: prefix.length > 0 ? Buffer.concat([prefix, Buffer.from('/'), name]) : name,
		linkName: text(block, 157, 100),
		size: number(124, 12, 'size'),
		mode: number(100, 8, 'mode') & 0o7777,
		uid: number(108, 8, 'owner'),
		gid: number(116, 8, 'group'),
		mtime: number(136, 12, 'time'),
	};
	if (header.size < 0) throw damaged('an entry has a negative size', offset);
	return header;
}

/** Bytes as text. @throws LifeboatError `UNSUPPORTED_FORMAT` unless they are UTF-8: another name would be a wrong name. */
export function decodeName(bytes: Buffer): string {
	if (!isUtf8(bytes))
		throw unsupported(`the name ${JSON.stringify(bytes.toString('latin1'))}, which is not UTF-8`);
	return bytes.toString('utf8');
}

function text(block: Buffer, start: number, length: number): Buffer {
	const field = block.subarray(start, start + length);
	const end = field.indexOf(0);
	return end === -1 ? field : field.subarray(0, end);
}

/** Octal digits, or GNU's base-256 for what doesn't fit. */
function decodeNumber(field: Buffer, what: string, offset: number): number {
	if (field[0]! & 0x80) {
		const isNegative = field[0] === 0xff;
		if (!isNegative && field[0] !== 0x80) throw damaged(`an entry's ${what} is not a number`, offset);
		let value = isNegative ? -1n : 0n;
		for (const byte of field.subarray(1)) value = (value << 8n) | BigInt(byte);
		const result = Number(value);
		if (!Number.isSafeInteger(result)) throw damaged(`an entry's ${what} is out of range`, offset);
		return result;
	}
	const match = /^ *([0-7]*)[ \0]*$/.exec(field.toString('latin1'));
	if (!match) throw damaged(`an entry's ${what} is not a number`, offset);
	return match[1] === '' ? 0 : Number.parseInt(match[1]!, 8);
}
