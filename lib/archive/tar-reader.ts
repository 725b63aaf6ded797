import type { Readable } from 'node:stream';

import { LifeboatError } from '../errors';

import { decodePax, type PaxRecords } from './pax';
import {
	BLOCK_SIZE,
	damaged,
	decodeHeader,
	decodeName,
	unsupported,
	type EntryHeader,
	type EntryType,
	type HeaderBlock,
} from './tar-header';
import { ByteReader } from './byte-reader';

export interface TarEntry {
	header: EntryHeader;
	/** The content. What is left of it is passed over when the next entry is asked for. */
	body: AsyncIterable<Buffer>;
}

/** Names and attributes longer than this, which only a hostile archive has, would be held in memory. */
const MAX_EXTENDED_HEADER = 1024 * 1024;

const types: Readonly<Record<string, EntryType>> = {
	'0': 'file',
	'1': 'hardlink',
	'2': 'symlink',
	'3': 'device',
	'4': 'device',
	'5': 'folder',
	'6': 'fifo',
	'7': 'file',
};

/**
 * Reads a tar archive entry by entry, and says it ended only if it is whole: every header's checksum right, two zero blocks
 * at the end and nothing after them. Neither tar-stream nor node-tar holds to that (the one takes an archive without an end, the other
 * goes on after a broken header), and a backup is not proven by less.
 *
 * Reads what GNU tar and bsdtar write: ustar, pax, GNU long names and big numbers, seventh edition. Sparse files, multiple volumes
 * and incremental dumps are refused by name. The source is destroyed when the reader stops early.
 *
 * @throws LifeboatError `DAMAGED`, `INCOMPLETE` or `UNSUPPORTED_FORMAT`; what the source throws passes unchanged.
 */
export async function* readTar(source: Readable): AsyncGenerator<TarEntry, void, undefined> {
	const reader = new ByteReader(source);
	try {
		const extended = new ExtendedHeaders();
		for (;;) {
			const offset = reader.offset;
			const block = await reader.read(BLOCK_SIZE);
			if (!block) throw incomplete();
			if (isZero(block)) {
				if (extended.isPending) throw damaged('an extended header belongs to no entry', offset);
				return await readEnd(reader);
			}
			const raw = decodeHeader(block, offset);
			if (await extended.consume(raw, reader, offset)) continue;
			// A volume label names the archive, and stands for no file.
			if (raw.typeFlag === 'V' && raw.size === 0) continue;
			const header = extended.apply(raw, offset);
			const end = reader.offset + padded(header.size);
			yield { header, body: reader.stream(header.size) };
			await reader.skipTo(end);
		}
	} finally {
		await reader.close();
	}
}

/** The second zero block, and nothing else until the bytes end. */
async function readEnd(reader: ByteReader): Promise<void> {
	const second = await reader.read(BLOCK_SIZE);
	if (!second) throw incomplete();
	if (!isZero(second)) throw damaged('entries follow its end', reader.offset - BLOCK_SIZE);
	for await (const chunk of reader.rest()) {
		if (!isZero(chunk)) throw damaged('something follows its end', reader.offset);
	}
}

/** Collects the headers that precede an entry and change what its own header says. */
class ExtendedHeaders {
	private global: PaxRecords = new Map();

	private globalSize = 0;

	private local: PaxRecords | undefined;

	private longName: Buffer | undefined;

	private longLinkName: Buffer | undefined;

	get isPending(): boolean {
		return this.local !== undefined || this.longName !== undefined || this.longLinkName !== undefined;
	}

	/** Takes the header if it is an extended one. One that comes twice would mean different things to different programs. */
	async consume(raw: HeaderBlock, reader: ByteReader, offset: number): Promise<boolean> {
		if (!['x', 'g', 'L', 'K'].includes(raw.typeFlag)) return false;
		if (raw.size > MAX_EXTENDED_HEADER) throw damaged('an extended header is too long', offset);
		const data = (await reader.read(padded(raw.size)))?.subarray(0, raw.size);
		if (!data) throw raw.size > 0 ? incomplete() : damaged('an extended header is empty', offset);
		const isGnu = raw.typeFlag === 'L' || raw.typeFlag === 'K';
		const isRepeated =
			(raw.typeFlag === 'x' && this.isPending) ||
			(isGnu && this.local !== undefined) ||
			(raw.typeFlag === 'L' && this.longName !== undefined) ||
			(raw.typeFlag === 'K' && this.longLinkName !== undefined);
		if (isRepeated) throw damaged('an entry has more than one extended header', offset);
		if (raw.typeFlag === 'x') this.local = decodePax(data, offset);
		else if (raw.typeFlag === 'g') this.addGlobal(data, offset);
		else if (raw.typeFlag === 'L') this.longName = untilNul(data);
		else this.longLinkName = untilNul(data);
		for (const key of ['path', 'linkpath', 'size']) {
			if (this.global.has(key)) throw unsupported(`a global header that sets the ${key} of entries`);
		}
		return true;
	}

	/** They are held until the end, and looked through for every entry. */
	private addGlobal(data: Buffer, offset: number): void {
		this.globalSize += data.length;
		if (this.globalSize > MAX_EXTENDED_HEADER) throw damaged('its global headers are too long', offset);
		this.global = new Map([...this.global, ...decodePax(data, offset)]);
	}

	/** The entry's header with what was collected for it; the next entry starts anew. */
	apply(raw: HeaderBlock, offset: number): EntryHeader {
		const pax = new Map([...this.global, ...(this.local ?? [])]);
		for (const key of pax.keys()) {
			if (key.startsWith('GNU.sparse.')) throw unsupported('a sparse file, which this version does not read');
		}
		if (pax.get('hdrcharset')?.toString() === 'BINARY') throw unsupported('names that are not UTF-8');
		const value = (key: string) => (pax.get(key)?.length ? pax.get(key) : undefined);
		const number = (key: string, fallback: number, pattern = /^\d{1,16}$/) => {
			const found = value(key)?.toString('latin1');
			if (found === undefined) return fallback;
			if (!pattern.test(found) || Math.abs(Number(found)) > Number.MAX_SAFE_INTEGER) {
				throw damaged(`an extended header holds a ${key} that is not a number`, offset);
			}
			return Number(found);
		};
		const name = decodeName(value('path') ?? this.longName ?? raw.name);
		const linkName = decodeName(value('linkpath') ?? this.longLinkName ?? raw.linkName);
		const header: EntryHeader = {
			type: typeOf(raw.typeFlag, name),
			name,
			linkName,
			size: number('size', raw.size),
			mode: raw.mode,
			uid: number('uid', raw.uid),
			gid: number('gid', raw.gid),
			mtime: number('mtime', raw.mtime, /^-?\d{1,16}(?:\.\d*)?$/),
		};
		if (name === '') throw damaged('an entry has no name', offset);
		if (header.type !== 'file' && header.size !== 0) {
			// Whether data follows is what readers disagree on, so one may be made to see other entries than the next.
			throw damaged(`${JSON.stringify(name)} is no file, yet has a size`, offset);
		}
		if ((header.type === 'symlink' || header.type === 'hardlink') && linkName === '') {
			throw damaged(`the link ${JSON.stringify(name)} has no target`, offset);
		}
		this.local = this.longName = this.longLinkName = undefined;
		return header;
	}
}

function typeOf(typeFlag: string, name: string): EntryType {
	const type = types[typeFlag];
	if (type === 'file' && name.endsWith('/')) return 'folder';
	if (type) return type;
	const known: Record<string, string> = {
		S: 'a sparse file, which this version does not read',
		M: 'a part of a file that began in another volume',
		D: 'an incremental dump of GNU tar',
	};
	throw unsupported(
		known[typeFlag] ?? `${JSON.stringify(name)}, an entry of the unknown type ${JSON.stringify(typeFlag)}`,
	);
}

function incomplete(): LifeboatError {
	return new LifeboatError('INCOMPLETE', 'The archive is cut short: its end is missing', {
		hint: 'Do not use this copy. Take the same backup from another destination, or an older one',
	});
}

function untilNul(data: Buffer): Buffer {
	const end = data.indexOf(0);
	return end === -1 ? data : data.subarray(0, end);
}

function padded(size: number): number {
	return Math.ceil(size / BLOCK_SIZE) * BLOCK_SIZE;
}

const zeros = Buffer.alloc(64 * 1024);

function isZero(data: Buffer): boolean {
	for (let start = 0; start < data.length; start += zeros.length) {
		const part = data.subarray(start, start + zeros.length);
		if (!part.equals(zeros.subarray(0, part.length))) return false;
	}
	return true;
}
