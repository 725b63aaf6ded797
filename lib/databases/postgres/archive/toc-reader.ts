import { LifeboatError } from '../../../errors';

import type { ByteQueue, Cursor } from './byte-queue';
import {
	damaged,
	OFFSET_NO_DATA,
	OFFSET_NOT_SET,
	OFFSET_SET,
	sections,
	VERSION_WITH_RELKIND,
	VERSION_WITH_TABLE_ACCESS_METHOD,
} from './format';
import { readHeader } from './header-reader';
import { sniffMagic } from './sniff';
import { Texts } from './toc-texts';
import type { ArchiveToc, TocEntry } from './types';

/** More than any pg_dump could hold in memory in practice; bounds what a hostile archive costs. */
const MAX_TOC_BYTES = 1024 * 1024 * 1024;

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
