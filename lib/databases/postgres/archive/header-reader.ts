import { LifeboatError } from '../../../errors';

import type { Cursor } from './byte-queue';
import {
	compressions,
	damaged,
	FORMAT_CUSTOM,
	INTEGER_SIZE,
	MAGIC,
	NEWEST_VERSION,
	OFFSET_SIZE,
	OLDEST_VERSION,
	VERSION_WITH_COMPRESSION_ALGORITHM,
} from './format';
import type { Texts } from './toc-texts';
import type { ArchiveCompression, ArchiveTime, ArchiveToc } from './types';

/** What stands before the TOC. @throws LifeboatError `UNSUPPORTED_FORMAT`, `ARCHIVE_DAMAGED` */
export function readHeader(cursor: Cursor, texts: Texts): Omit<ArchiveToc, 'textEncoding' | 'entries'> {
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
