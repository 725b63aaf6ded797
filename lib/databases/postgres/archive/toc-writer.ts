import { LifeboatError } from '../../../errors';

import {
	compressions,
	describeEntry,
	FORMAT_CUSTOM,
	INTEGER_SIZE,
	MAGIC,
	OFFSET_NO_DATA,
	OFFSET_NOT_SET,
	OFFSET_SET,
	OFFSET_SIZE,
	sections,
	VERSION_WITH_COMPRESSION_ALGORITHM,
	VERSION_WITH_RELKIND,
} from './format';
import type { ArchiveCompression, ArchiveTextEncoding, ArchiveToc, TocEntry } from './types';

/** What the file says of itself before the TOC. */
export interface WrittenFormat {
	/** 14 to 16. */
	version: number;
	compression: ArchiveCompression;
	/** 0 for none. */
	level: number;
}

/** The header, in front of what `encodeEntries` gives. */
export function encodeHeader(toc: ArchiveToc, { version, compression, level }: WrittenFormat): Buffer {
	const out = new Encoder(toc.textEncoding);
	out.raw(Buffer.from(MAGIC, 'latin1'));
	for (const byte of [1, version, 0, INTEGER_SIZE, OFFSET_SIZE, FORMAT_CUSTOM]) out.byte(byte);
	if (version >= VERSION_WITH_COMPRESSION_ALGORITHM) out.byte(compressions.indexOf(compression));
	else out.int(level);
	const { second, minute, hour, day, month, year, isDaylightSaving } = toc.createdAt;
	for (const part of [second, minute, hour, day, month - 1, year - 1900, isDaylightSaving ? 1 : 0]) {
		out.int(part);
	}
	out.text(toc.database);
	out.text(toc.serverVersion);
	out.text(toc.dumpVersion);
	return out.result();
}

/**
 * The table of contents. Its length does not depend on the offsets: it can be written over once they are known.
 *
 * @param offsets where the data block of each entry starts, by dumpId; without it the archive says they are unknown.
 */
export function encodeEntries(
	toc: ArchiveToc,
	version: number,
	offsets?: ReadonlyMap<number, number>,
): Buffer {
	const out = new Encoder(toc.textEncoding);
	out.int(toc.entries.length);
	for (const entry of toc.entries) {
		try {
			encodeEntry(out, entry, version);
		} catch (error) {
			if (!(error instanceof RangeError)) throw error;
			throw new LifeboatError(
				'INVALID_OPTION',
				`${describeEntry(entry)} does not fit into a PostgreSQL archive: ${error.message}`,
				{ cause: error },
			);
		}
		const offset = offsets?.get(entry.dumpId);
		if (!entry.hasData) out.fileOffset(OFFSET_NO_DATA, 0);
		else if (offset === undefined) out.fileOffset(OFFSET_NOT_SET, 0);
		else out.fileOffset(OFFSET_SET, offset);
	}
	return out.result();
}

function encodeEntry(out: Encoder, entry: TocEntry, version: number): void {
	out.int(entry.dumpId);
	out.int(entry.hasData ? 1 : 0);
	out.text(String(entry.catalogId.tableOid));
	out.text(String(entry.catalogId.oid));
	out.text(entry.tag);
	out.text(entry.desc);
	out.int(sections.indexOf(entry.section));
	for (const text of [entry.defn, entry.dropStmt, entry.copyStmt, entry.namespace, entry.tablespace]) {
		out.text(text);
	}
	out.text(entry.tableam);
	if (version >= VERSION_WITH_RELKIND) out.int(entry.relkind === '' ? 0 : entry.relkind.charCodeAt(0));
	out.text(entry.owner);
	out.text(String(entry.withOids));
	for (const dumpId of entry.dependencies) out.text(String(dumpId));
	out.text(null);
}

/** An integer as the format has it: sign, then magnitude, least significant byte first. */
export function encodeInt(value: number): Buffer {
	const bytes = Buffer.allocUnsafe(1 + INTEGER_SIZE);
	writeInt(bytes, value, 0);
	return bytes;
}

function writeInt(target: Buffer, value: number, at: number): void {
	if ((value | 0) !== value) throw new RangeError(`${value} is no number of 32 bits`);
	target[at] = value < 0 ? 1 : 0;
	target.writeUInt32LE(Math.abs(value), at + 1);
}

/** Appends the format's values to bytes that grow. */
export class Encoder {
	private bytes = Buffer.allocUnsafe(1024);

	private length = 0;

	constructor(private readonly textEncoding: ArchiveTextEncoding) {}

	byte(value: number): void {
		this.reserve(1);
		this.bytes[this.length++] = value;
	}

	/** @throws RangeError outside of 32 bits with sign. */
	int(value: number): void {
		this.reserve(1 + INTEGER_SIZE);
		writeInt(this.bytes, value, this.length);
		this.length += 1 + INTEGER_SIZE;
	}

	/** @throws RangeError for what can't stand in a C string or in the encoding. */
	text(value: string | null): void {
		if (value === null) {
			this.int(-1);
			return;
		}
		if (value.includes('\0')) throw new RangeError('a text holds a zero byte');

		if (this.textEncoding === 'latin1' && /[^\0-\xff]/.test(value)) {
			throw new RangeError('a text holds a character that is no single byte');
		}
		const bytes = Buffer.from(value, this.textEncoding);
		this.int(bytes.length);
		this.raw(bytes);
	}

	fileOffset(state: number, value: number): void {
		this.byte(state);
		this.reserve(OFFSET_SIZE);
		this.bytes.writeBigUInt64LE(BigInt(value), this.length);
		this.length += OFFSET_SIZE;
	}

	raw(bytes: Buffer): void {
		this.reserve(bytes.length);
		bytes.copy(this.bytes, this.length);
		this.length += bytes.length;
	}

	result(): Buffer {
		return this.bytes.subarray(0, this.length);
	}

	private reserve(count: number): void {
		if (this.length + count <= this.bytes.length) return;
		const larger = Buffer.allocUnsafe(Math.max(this.bytes.length * 2, this.length + count));
		this.bytes.copy(larger, 0, 0, this.length);
		this.bytes = larger;
	}
}
