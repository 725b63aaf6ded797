import type { ArchiveSection, ArchiveToc, TocEntry } from './types';

/** pg_restore goes through the TOC three times: privileges come after the data, and what needs privileges after them. */
export type RestorePass = 'main' | 'acl' | 'post-acl';

/** The pass in which an entry is restored. */
export function restorePass({ desc, tag }: Pick<TocEntry, 'desc' | 'tag'>): RestorePass {
	if (isAcl({ desc })) return 'acl';
	if (desc === 'EVENT TRIGGER' || desc === 'MATERIALIZED VIEW DATA') return 'post-acl';
	// A comment or label goes with its object.
	if (/^(?:COMMENT|SECURITY LABEL)$/.test(desc) && tag.startsWith('EVENT TRIGGER ')) return 'post-acl';
	return 'main';
}

export function isAcl({ desc }: Pick<TocEntry, 'desc'>): boolean {
	return desc === 'ACL' || desc === 'DEFAULT ACL';
}

/** Entries that set up the session instead of standing for an object. */
export function isSetting({ desc }: Pick<TocEntry, 'desc'>): boolean {
	return desc === 'ENCODING' || desc === 'STDSTRINGS' || desc === 'SEARCHPATH';
}

/** Each entry with the section that it is restored in: one without a section goes with those before it. */
export function* withSections(
	entries: Iterable<TocEntry>,
): Generator<{ entry: TocEntry; section: Exclude<ArchiveSection, 'none'> }> {
	let section: Exclude<ArchiveSection, 'none'> = 'pre-data';
	for (const entry of entries) {
		if (entry.section !== 'none') section = entry.section;
		yield { entry, section };
	}
}

/** The objects in their order, by the section that they are restored in. */
export function entriesBySection(toc: ArchiveToc): Record<Exclude<ArchiveSection, 'none'>, TocEntry[]> {
	const result: Record<Exclude<ArchiveSection, 'none'>, TocEntry[]> = {
		...{ 'pre-data': [], data: [], 'post-data': [] },
	};
	for (const { entry, section } of withSections(toc.entries))
		if (!isSetting(entry)) result[section].push(entry);
	return result;
}

/** What must be heeded when entries are restored at the same time. */
export interface RestoreConstraints {
	/** dumpIds of the entries of this archive that must be done before. */
	after: number[];
	/** Entries whose table it locks exclusively: two entries with the same number here can't run at the same time. */
	locks: number[];
}

/**
 * What pg_restore -j heeds, by dumpId: post-data waits for a table's data where the dependency names the table, and all of
 * post-data but CREATE INDEX locks its tables.
 */
export function restoreConstraints(toc: ArchiveToc): Map<number, RestoreConstraints> {
	const byId = new Map(toc.entries.map((entry) => [entry.dumpId, entry]));
	const dataOfTable = new Map<number, number>();
	for (const entry of toc.entries) {
		const [table] = entry.dependencies;
		if (entry.desc === 'TABLE DATA' && table !== undefined) dataOfTable.set(table, entry.dumpId);
	}
	return new Map(
		toc.entries.map((entry) => {
			const isPostData = entry.section === 'post-data';
			const after = entry.dependencies
				.filter((id) => byId.has(id))
				.map((id) => (isPostData ? (dataOfTable.get(id) ?? id) : id));
			const isLocking = isPostData && entry.desc !== 'INDEX';
			const locks = isLocking ? after.filter((id) => /^TABLE(?: DATA)?$/.test(byId.get(id)!.desc)) : [];
			return [entry.dumpId, { after: [...new Set(after)], locks: [...new Set(locks)] }];
		}),
	);
}
