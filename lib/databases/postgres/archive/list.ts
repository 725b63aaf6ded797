import { LifeboatError } from '../../../errors';

import { INTEGER_SIZE, OFFSET_SIZE } from './format';
import { isSetting } from './sections';
import { textDisplay } from './text';
import type { ArchiveTime, ArchiveToc, TocEntry } from './types';

/**
 * The TOC as `pg_restore -l` of PostgreSQL 16 and newer prints it; `pg_restore -L` and `parseList` take it back, edited. The
 * time has no zone, for the archive has none.
 *
 * @param entries those to list; all but the settings unless given, without those of the database itself (as there without -C).
 */
export function formatList(
	toc: ArchiveToc,
	entries: readonly TocEntry[] = toc.entries.filter((entry) => !isSetting(entry) && !isOfDatabase(entry)),
): string {
	const display = textDisplay(toc);
	const line = (text: string | null) => display(text ?? '').replaceAll(/[\r\n]/g, ' ');
	return [
		';',
		`; Archive created at ${formatTime(toc.createdAt)}`,
		`;     dbname: ${line(toc.database)}`,
		`;     TOC Entries: ${toc.entries.length}`,
		`;     Compression: ${toc.compression}`,
		`;     Dump Version: 1.${toc.version}-0`,
		';     Format: CUSTOM',
		`;     Integer: ${INTEGER_SIZE} bytes`,
		`;     Offset: ${OFFSET_SIZE} bytes`,
		...(toc.serverVersion === null ? [] : [`;     Dumped from database version: ${line(toc.serverVersion)}`]),
		...(toc.dumpVersion === null ? [] : [`;     Dumped by pg_dump version: ${line(toc.dumpVersion)}`]),
		...[';', ';', '; Selected TOC Entries:', ';'],
		...entries.map(({ dumpId, catalogId, desc, namespace, tag, owner }) =>
			[
				...[`${dumpId};`, catalogId.tableOid, catalogId.oid, desc],
				...[namespace === null ? '-' : line(namespace), line(tag), line(owner)],
			].join(' '),
		),
		'',
	].join('\n');
}

/**
 * The dumpIds that a list names, in its order, each once. What follows a semicolon is a comment.
 *
 * @throws LifeboatError `INVALID_OPTION` for a line that starts with no number.
 */
export function parseList(list: string): number[] {
	const ids = new Set<number>();
	for (const [i, line] of list.split('\n').entries()) {
		const text = line.replace(/;.*/s, '').trim();
		if (text === '') continue;
		const id = /^\d+/.exec(text)?.[0];
		if (id === undefined || Number(id) === 0) {
			throw new LifeboatError(
				'INVALID_OPTION',
				`Line ${i + 1} of the list does not start with the number of an entry`,
				{
					hint: 'Put a semicolon at the start of lines that are not meant to be restored',
				},
			);
		}
		ids.add(Number(id));
	}
	return [...ids];
}

function isOfDatabase({ desc, tag }: TocEntry): boolean {
	if (desc === 'DATABASE' || desc === 'DATABASE PROPERTIES') return true;
	return ['ACL', 'COMMENT', 'SECURITY LABEL'].includes(desc) && tag.startsWith('DATABASE ');
}

function formatTime({ year, month, day, hour, minute, second }: ArchiveTime): string {
	const two = (value: number) => String(value).padStart(2, '0');
	return `${year}-${two(month)}-${two(day)} ${two(hour)}:${two(minute)}:${two(second)}`;
}
