import { LifeboatError } from '../../../errors';

import { parseList } from './list';
import { isAcl, isSetting, withSections } from './sections';
import { textDisplay } from './text';
import type { ArchiveSection, ArchiveToc, EntrySelection, SelectedEntry, TocEntry } from './types';

/** What `-t` stands for. */
const relations = new Set([
	...['TABLE', 'TABLE DATA', 'VIEW', 'FOREIGN TABLE', 'MATERIALIZED VIEW', 'MATERIALIZED VIEW DATA'],
	...['SEQUENCE', 'SEQUENCE SET'],
]);
const functions = new Set(['FUNCTION', 'AGGREGATE', 'PROCEDURE']);

/** Restored where what they depend on is. */
const dependents = new Set(['ACL', 'COMMENT', 'SECURITY LABEL', 'STATISTICS DATA']);

/** Parts of a publication. */
const publications = new Set(['PUBLICATION', 'PUBLICATION TABLE', 'PUBLICATION TABLES IN SCHEMA']);

/**
 * The entries that pg_restore would restore with the same options, in the order it would; without the settings (ENCODING, ...).
 * As there, a table's indexes, constraints and triggers don't come with `tables` alone, while its comments and privileges do.
 *
 * @throws LifeboatError `INVALID_OPTION` where a name is not in the archive (pg_restore does so with --strict-names), or where
 * the list can't be read.
 */
export function selectEntries(toc: ArchiveToc, selection: EntrySelection): SelectedEntry[] {
	const listed = selection.list === undefined ? undefined : entriesOfList(toc, selection.list);
	const isListed = new Set(listed);
	// Listed entries come last, in the order of the list; the rest still counts for finding sections.
	const ordered = listed ? [...toc.entries.filter((entry) => !isListed.has(entry)), ...listed] : toc.entries;
	const names = new Names(toc, selection);
	const byId = new Map(toc.entries.map((entry) => [entry.dumpId, entry]));
	const marked = new Set<number>();
	const isWithParent = (entry: TocEntry) =>
		entry.dependencies.some((id) => marked.has(id) && byId.get(id)?.desc !== 'ACL');
	const selected: SelectedEntry[] = [];
	for (const { entry, section } of withSections(ordered)) {
		if (isSetting(entry)) {
			marked.add(entry.dumpId);
			continue;
		}
		const isWanted = isDatabase(entry)
			? selection.createDatabase === true
			: isOfKind(entry, section, selection) &&
				(!listed || isListed.has(entry)) &&
				isOfSelection(entry, selection, names, isWithParent);
		if (!isWanted) continue;
		const parts = partsOf(entry, selection);
		if (!parts.schema && !parts.data) continue;
		marked.add(entry.dumpId);
		selected.push({ entry, ...parts });
	}
	names.requireAllFound();
	return selected;
}

function isDatabase({ desc }: TocEntry): boolean {
	return desc === 'DATABASE' || desc === 'DATABASE PROPERTIES';
}

function isOfKind(entry: TocEntry, section: ArchiveSection, selection: EntrySelection): boolean {
	const { desc } = entry;
	if (selection.noPrivileges && isAcl(entry)) return false;
	if (selection.noComments && desc === 'COMMENT') return false;
	if (selection.noPublications && publications.has(desc)) return false;
	if (selection.noSecurityLabels && desc === 'SECURITY LABEL') return false;
	if (selection.noSubscriptions && desc === 'SUBSCRIPTION') return false;
	return !selection.sections || selection.sections.some((wanted) => wanted === section);
}

function isOfSelection(
	entry: TocEntry,
	selection: EntrySelection,
	names: Names,
	isWithParent: (entry: TocEntry) => boolean,
): boolean {
	const byType = names.wants('tables', 'indexes', 'functions', 'triggers');
	const bySchema = names.wants('schemas');
	if (dependents.has(entry.desc)) {
		if (entry.tag.startsWith('DATABASE ')) return selection.createDatabase === true;
		return byType || bySchema || names.wants('excludeSchemas') ? isWithParent(entry) : true;
	}
	if (bySchema && !(entry.namespace !== null && names.has('schemas', entry.namespace))) return false;
	if (entry.namespace !== null && names.has('excludeSchemas', entry.namespace)) return false;
	if (!byType) return true;
	if (relations.has(entry.desc)) return names.has('tables', entry.tag);
	if (entry.desc === 'INDEX') return names.has('indexes', entry.tag);
	if (functions.has(entry.desc)) return names.has('functions', entry.tag);
	return entry.desc === 'TRIGGER' && names.has('triggers', entry.tag);
}

/** Whether an entry counts as schema or as data; one with a data block may be both. */
function partsOf(entry: TocEntry, selection: EntrySelection): { schema: boolean; data: boolean } {
	const isDataByKind = ['SEQUENCE SET', 'BLOB', 'BLOB METADATA'].includes(entry.desc);
	const isOfLargeObject =
		['ACL', 'COMMENT', 'SECURITY LABEL'].includes(entry.desc) && entry.tag.startsWith('LARGE OBJECT');
	const isData = entry.hasData || isDataByKind || isOfLargeObject;
	const hasDefinition =
		Boolean(entry.defn) && !entry.defn!.startsWith('-- load via partition root ') && !isDataByKind;
	const schema = hasDefinition && !isOfLargeObject;
	if (isDatabase(entry)) return { schema: true, data: false };
	return { schema: schema && !selection.dataOnly, data: isData && !selection.schemaOnly };
}

function entriesOfList(toc: ArchiveToc, list: string): TocEntry[] {
	const byId = new Map(toc.entries.map((entry) => [entry.dumpId, entry]));
	return parseList(list).map((dumpId) => {
		const entry = byId.get(dumpId);
		if (entry) return entry;
		throw new LifeboatError(
			'INVALID_OPTION',
			`The list names the entry ${dumpId}, which the archive does not hold`,
			{
				hint: 'Use a list that was made from this very archive',
			},
		);
	});
}

type NameOption = 'schemas' | 'excludeSchemas' | 'tables' | 'indexes' | 'functions' | 'triggers';

/** Names that were asked for, and which of them were found. */
class Names {
	private readonly wanted = new Map<NameOption, Set<string>>();

	private readonly found = new Map<NameOption, Set<string>>();

	private readonly display: (text: string) => string;

	constructor(toc: ArchiveToc, selection: EntrySelection) {
		this.display = textDisplay(toc);
		for (const option of [
			'schemas',
			'excludeSchemas',
			'tables',
			'indexes',
			'functions',
			'triggers',
		] as const) {
			this.wanted.set(option, new Set(selection[option]));
			this.found.set(option, new Set());
		}
	}

	/** Whether any of them is restricted to names. */
	wants(...options: NameOption[]): boolean {
		return options.some((option) => this.wanted.get(option)!.size > 0);
	}

	has(option: NameOption, text: string): boolean {
		const name = this.display(text);
		if (!this.wanted.get(option)!.has(name)) return false;
		this.found.get(option)!.add(name);
		return true;
	}

	requireAllFound(): void {
		const kinds = {
			schemas: 'schema',
			tables: 'table',
			indexes: 'index',
			functions: 'function',
			triggers: 'trigger',
		};
		for (const [option, kind] of Object.entries(kinds) as [NameOption, string][]) {
			const found = this.found.get(option)!;
			const missing = [...this.wanted.get(option)!].find((name) => !found.has(name));
			if (missing === undefined) continue;
			throw new LifeboatError(
				'INVALID_OPTION',
				`The backup holds no ${kind} ${missing} within this selection`,
				{
					hint: `Check the spelling; upper and lower case count, and names are written without quotes${option === 'tables' ? ' and without schema' : ''}`,
				},
			);
		}
	}
}
