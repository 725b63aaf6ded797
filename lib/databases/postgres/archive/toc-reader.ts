import { isAscii, isUtf8 } from 'node:buffer';

import { LifeboatError } from '../../../errors';

import type { ByteQueue, Cursor } from './byte-queue';
import {
	compressions,
	damaged,
	FORMAT_CUSTOM,
	INTEGER_SIZE,
	MAGIC,
	NEWEST_VERSION,
	OFFSET_NO_DATA,
	OFFSET_NOT_SET,
	OFFSET_SET,
	OFFSET_SIZE,
	OLDEST_VERSION,
	sections,
	VERSION_WITH_COMPRESSION_ALGORITHM,
	VERSION_WITH_RELKIND,
	VERSION_WITH_TABLE_ACCESS_METHOD,
} from './format';
import { sniffMagic } from './sniff';
import type { ArchiveCompression, ArchiveTime, ArchiveToc, TocEntry } from './types';

/** More than any pg_dump could hold in memory in practice; bounds what a hostile archive costs. */
const MAX_TOC_BYTES = 1024 * 1024 * 1024;

type Header = Omit<ArchiveToc, 'textEncoding' | 'entries'>;

/**
 * Reads header and table of contents.
 *
 * @throws LifeboatError `UNSUPPORTED_FORMAT` for what is no custom archive, or one of an unknown version; `ARCHIVE_DAMAGED`.
 */
export async function readToc(queue: ByteQueue): Promise<ArchiveToc> {
	await sniffMagic(queue);
	const texts = new Texts();
	const header = await queue.parse('its header', (cursor) => readHeader(cursor, texts));
	const entries: TocEntry[] = [];
	const seen = new Set<number>();
	const count = await queue.parse('its table of contents', (cursor) => cursor.count('the number of entries'));
	for (let i = 0; i < count; i++) {
		const at = queue.offset;
		if (at > MAX_TOC_BYTES) {
			throw new LifeboatError(
				'UNSUPPORTED_FORMAT',
				'The table of contents of the PostgreSQL archive is larger than 1 GiB',
				{ hint: 'Restore this archive with pg_restore' },
			);
		}
		const entry = await queue.parse('its table of contents', (cursor) =>
			readEntry(cursor, texts, header.version),
		);
		if (seen.has(entry.dumpId)) throw damaged(`entry ${entry.dumpId} is there twice`, at);
		seen.add(entry.dumpId);
		entries.push(entry);
	}
	return texts.decode({ ...header, textEncoding: 'latin1', entries });
}

function readHeader(cursor: Cursor, texts: Texts): Header {
	cursor.take(MAGIC.length);
	const at = cursor.offset;
	const [major, version] = [cursor.byte(), cursor.byte(), cursor.byte()] as const;
	if (major !== 1 || version < OLDEST_VERSION || version > NEWEST_VERSION) {
		const isNewer = major > 1 || (major === 1 && version > NEWEST_VERSION);
		throw new LifeboatError(
			'UNSUPPORTED_FORMAT',
			`The PostgreSQL archive has format version ${major}.${version}; 1.${OLDEST_VERSION} to 1.${NEWEST_VERSION} are known`,
			{
				hint: isNewer
					? 'Update n8n-nodes-lifeboat, or restore with the pg_restore that belongs to the pg_dump that wrote it'
					: 'Restore it with pg_restore',
			},
		);
	}
	const [integerSize, offsetSize, format] = [cursor.byte(), cursor.byte(), cursor.byte()] as const;
	if (integerSize !== INTEGER_SIZE || offsetSize !== OFFSET_SIZE) {
		throw damaged(`integers of ${integerSize} and offsets of ${offsetSize} bytes`, at + 3);
	}
	if (format !== FORMAT_CUSTOM) {
		throw new LifeboatError(
			'UNSUPPORTED_FORMAT',
			'This is the table of contents of a dump in the directory or tar format, not a custom archive',
			{ hint: 'Dump with pg_dump -Fc, or restore this dump with pg_restore' },
		);
	}
	return { version: version, ...readCompression(cursor, version), ...readOrigin(cursor, texts) };
}

function readCompression(
	cursor: Cursor,
	version: number,
): { compression: ArchiveCompression; compressionLevel?: number } {
	const at = cursor.offset;
	if (version < VERSION_WITH_COMPRESSION_ALGORITHM) {
		const level = cursor.int();
		if (level < -1 || level > 9) throw damaged(`compression level ${level}`, at);
		return { compression: level === 0 ? 'none' : 'gzip', compressionLevel: level };
	}
	const number = cursor.byte();
	const compression = compressions[number];
	if (!compression) throw damaged(`compression ${number}`, at);
	return { compression };
}

function readOrigin(cursor: Cursor, texts: Texts) {
	const at = cursor.offset;
	const [second, minute, hour, day, month, year, daylight] = [
		...[cursor.int(), cursor.int(), cursor.int(), cursor.int()],
		...[cursor.int(), cursor.int(), cursor.int()],
	] as const;
	const ranges = [
		...[second <= 60, minute <= 59, hour <= 23, day >= 1 && day <= 31, month <= 11],
		...[second, minute, hour, month].map((part) => part >= 0),
		...[year >= 70, year < 8000, daylight >= -1, daylight <= 1],
	];
	if (ranges.includes(false)) throw damaged('its time is no time', at);
	// As in C's struct tm: months from 0, years from 1900.
	const createdAt: ArchiveTime = {
		...{ year: year + 1900, month: month + 1, day, hour, minute, second },
		isDaylightSaving: daylight > 0,
	};
	return {
		createdAt,
		database: texts.read(cursor),
		serverVersion: texts.read(cursor),
		dumpVersion: texts.read(cursor),
	};
}

function readEntry(cursor: Cursor, texts: Texts, version: number): TocEntry {
	const at = cursor.offset;
	const dumpId = cursor.int();
	if (dumpId <= 0) throw damaged(`an entry has the number ${dumpId}`, at);
	const hadDumper = cursor.int();
	if (hadDumper < 0 || hadDumper > 1) throw damaged(`entry ${dumpId} has the data flag ${hadDumper}`, at);
	const text = () => texts.read(cursor);
	const required = () => {
		const value = text();
		if (value === null) throw damaged(`entry ${dumpId} has no name or no kind`, at);
		return value;
	};
	const entry: TocEntry = {
		dumpId,
		hasData: hadDumper === 1,
		catalogId: { tableOid: readNumber(cursor, 0xffffffff), oid: readNumber(cursor, 0xffffffff) },
		tag: required(),
		desc: required(),
		section: readSection(cursor),
		...{ defn: text(), dropStmt: text(), copyStmt: text(), namespace: text(), tablespace: text() },
		tableam: version >= VERSION_WITH_TABLE_ACCESS_METHOD ? text() : null,
		relkind: version >= VERSION_WITH_RELKIND ? readRelkind(cursor) : '',
		owner: text(),
		withOids: readWithOids(cursor),
		dependencies: readDependencies(cursor),
	};
	const { state, value } = cursor.fileOffset();
	const allowed = entry.hasData ? [OFFSET_NOT_SET, OFFSET_SET] : [OFFSET_NO_DATA];
	if (!allowed.includes(state) || (state !== OFFSET_SET && value !== 0)) {
		throw damaged(`entry ${dumpId} has the offset ${value} with the state ${state}`, at);
	}
	if (state === OFFSET_SET) entry.dataOffset = value;
	return entry;
}

function readSection(cursor: Cursor) {
	const at = cursor.offset;
	const number = cursor.int();
	const section = sections[number];
	if (!section) throw damaged(`section ${number}`, at);
	return section;
}

function readRelkind(cursor: Cursor): string {
	const at = cursor.offset;
	const code = cursor.int();
	if (code < 0 || code > 127) throw damaged(`relation kind ${code}`, at);
	return code === 0 ? '' : String.fromCharCode(code);
}

function readWithOids(cursor: Cursor): boolean {
	const at = cursor.offset;
	const text = cursor.text()?.toString('latin1');
	if (text !== 'true' && text !== 'false') throw damaged('an entry has no WITH OIDS flag', at);
	return text === 'true';
}

/** Numbers here are decimal text, for historical reasons. */
function readNumber(cursor: Cursor, limit: number): number {
	const at = cursor.offset;
	const number = parseNumber(cursor.text(), limit);
	if (number === undefined) throw damaged('an entry has no catalog number', at);
	return number;
}

function readDependencies(cursor: Cursor): number[] {
	const dependencies: number[] = [];
	for (;;) {
		const at = cursor.offset;
		const text = cursor.text();
		if (text === null) return dependencies;
		const number = parseNumber(text, 0x7fffffff);
		if (number === undefined) throw damaged('a dependency is no number', at);
		dependencies.push(number);
	}
}

function parseNumber(bytes: Buffer | null, limit: number): number | undefined {
	const text = bytes && bytes.length <= 10 ? bytes.toString('latin1') : '';
	if (!/^\d{1,10}$/.test(text)) return undefined;
	const number = Number(text);
	return number <= limit ? number : undefined;
}

/** Keeps texts byte for byte until all are known, for only then it is known whether all are UTF-8. */
class Texts {
	private allAscii = true;

	private allUtf8 = true;

	read(cursor: Cursor): string | null {
		const bytes = cursor.text();
		if (bytes === null) return null;
		if (!isAscii(bytes)) {
			this.allAscii = false;
			this.allUtf8 &&= isUtf8(bytes);
		}
		return bytes.toString('latin1');
	}

	decode(toc: ArchiveToc): ArchiveToc {
		if (!this.allUtf8) return toc;
		if (this.allAscii) return { ...toc, textEncoding: 'utf8' };
		const decode = <T extends string | null>(text: T): T =>
			(text === null ? null : Buffer.from(text, 'latin1').toString('utf8')) as T;
		for (const entry of toc.entries) {
			entry.tag = decode(entry.tag);
			entry.desc = decode(entry.desc);
			entry.defn = decode(entry.defn);
			entry.dropStmt = decode(entry.dropStmt);
			entry.copyStmt = decode(entry.copyStmt);
			entry.namespace = decode(entry.namespace);
			entry.tablespace = decode(entry.tablespace);
			entry.tableam = decode(entry.tableam);
			entry.owner = decode(entry.owner);
		}
		return {
			...toc,
			textEncoding: 'utf8',
			database: decode(toc.database),
			serverVersion: decode(toc.serverVersion),
			dumpVersion: decode(toc.dumpVersion),
		};
	}
}
