import { restoreConstraints } from '../../archive/sections';
import type { ArchiveToc, SelectedEntry, TocEntry } from '../../archive/types';

/**
 * Tells what of an archive can be built as soon as the rows of its table are in, while those of other tables are still being
 * loaded, as `pg_restore -j` does.
 *
 * Only indexes and keys that depend on nothing but tables: a function in an index may look into tables that are not filled yet.
 */
export class EarlyBuilds {
	/** dumpIds of what is not there yet. */
	private readonly missing: Set<number>;

	private readonly after: ReadonlyMap<number, { after: readonly number[] }>;

	private readonly byData = new Map<number, TocEntry[]>();

	/** @param missing what of the archive is still to be restored, the rows to be loaded among it. */
	constructor(toc: ArchiveToc, missing: readonly SelectedEntry[]) {
		this.missing = new Set(missing.map(({ entry }) => entry.dumpId));
		this.after = restoreConstraints(toc);
		// Rows that are loaded through the root of a partitioned table may go into any of its partitions.
		if (missing.some(({ entry }) => entry.hasData && entry.defn?.startsWith('-- load via partition root')))
			return;
		const tables = new Set(toc.entries.filter(({ desc }) => desc === 'TABLE').map(({ dumpId }) => dumpId));
		for (const { entry, schema } of missing) {
			if (!schema || (entry.desc !== 'INDEX' && entry.desc !== 'CONSTRAINT')) continue;
			if (!entry.dependencies.every((id) => tables.has(id))) continue;
			for (const id of this.after.get(entry.dumpId)?.after ?? [])
				if (this.missing.has(id)) this.byData.set(id, [...(this.byData.get(id) ?? []), entry]);
		}
	}

	/** To be told of each table whose rows are in, and committed. @returns what can be built now. */
	loaded({ dumpId }: TocEntry): TocEntry[] {
		this.missing.delete(dumpId);
		return (this.byData.get(dumpId) ?? []).filter((entry) =>
			this.after.get(entry.dumpId)!.after.every((id) => !this.missing.has(id)),
		);
	}
}
