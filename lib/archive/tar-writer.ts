import { Header } from 'tar';

import { encodePax } from './pax';
import { BLOCK_SIZE } from './tar-header';

/** An entry to write. */
export interface NewEntry {
	type: 'File' | 'Directory' | 'SymbolicLink' | 'Link';
	/** Relative, without a slash at its end. */
	name: string;
	linkName?: string;
	/** Bytes of content. */
	size: number;
	/** Permission bits. */
	mode: number;
	uid: number;
	gid: number;
	/** Nanoseconds since 1970. */
	mtimeNs: bigint;
}

const maxOctal = { uid: 0o777_7777, seconds: 0o7777_7777_7777n, size: 0o7777_7777_7777 };

const billion = 1_000_000_000n;

/** The two zero blocks that end an archive. */
export const END_OF_ARCHIVE = Buffer.alloc(2 * BLOCK_SIZE);

/** The blocks before an entry's content: its ustar header, after a pax header for whatever ustar can't hold. */
export function encodeEntry(entry: NewEntry): Buffer {
	const { type, size, uid, gid, mtimeNs, linkName = '' } = entry;
	const name = type === 'Directory' ? `${entry.name}/` : entry.name;
	const pax: Record<string, string> = {};
	if (!fits(name, 99)) pax.path = name;
	if (!fits(linkName, 99)) pax.linkpath = linkName;
	if (size > maxOctal.size) pax.size = String(size);
	if (uid > maxOctal.uid) pax.uid = String(uid);
	if (gid > maxOctal.uid) pax.gid = String(gid);
	const seconds = mtimeNs / billion;
	const isPlainTime = mtimeNs >= 0n && mtimeNs % billion === 0n && seconds <= maxOctal.seconds;
	if (!isPlainTime) pax.mtime = decimalSeconds(mtimeNs);

	const header = block({
		type,
		path: pax.path === undefined ? name : plainName(name),
		linkpath: pax.linkpath === undefined ? linkName || undefined : plainName(linkName),
		size,
		mode: entry.mode & 0o7777,
		uid: Math.min(uid, maxOctal.uid),
		gid: Math.min(gid, maxOctal.uid),
		mtime: new Date(Number(clamp(seconds, maxOctal.seconds)) * 1000),
	});
	if (Object.keys(pax).length === 0) return header;
	const records = encodePax(pax);
	const extended = block({
		type: 'ExtendedHeader',
		path: plainName(`PaxHeader/${name.split('/').findLast(Boolean)}`),
		size: records.length,
		mode: 0o644,
		uid: 0,
		gid: 0,
		mtime: new Date(0),
	});
	return Buffer.concat([extended, records, padding(records.length), header]);
}

/** The zeros that fill the last block of so many bytes. */
export function padding(size: number): Buffer {
	return END_OF_ARCHIVE.subarray(0, (BLOCK_SIZE - (size % BLOCK_SIZE)) % BLOCK_SIZE);
}

function block(data: ConstructorParameters<typeof Header>[0]): Buffer {
	const buffer = Buffer.alloc(BLOCK_SIZE);
	new Header(data).encode(buffer);
	return buffer;
}

/** Only plain characters: programs that know nothing of pax guess what others mean. */
function fits(text: string, bytes: number): boolean {
	return text.length <= bytes && isPlain(text);
}

function isPlain(text: string): boolean {
	return /^[\x01-\x7f]*$/.test(text);
}

/** What programs that know nothing of pax see instead of a name. */
function plainName(name: string): string {
	return name.replaceAll(/[^\x20-\x7e]/g, '_').slice(0, 99);
}

function clamp(value: bigint, most: bigint): bigint {
	return value < 0n ? 0n : value > most ? most : value;
}

function decimalSeconds(ns: bigint): string {
	const size = ns < 0n ? -ns : ns;
	return `${ns < 0n ? '-' : ''}${size / billion}.${String(size % billion).padStart(9, '0')}`;
}
