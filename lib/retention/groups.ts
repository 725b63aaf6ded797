import type { RetentionBackup } from './backup';

/** Backups that are thinned out together. */
export interface BackupGroup {
	/** Empty where not grouped by name, or unknown. */
	name: string;
	kind: string;
	backups: RetentionBackup[];
}

/** Divides backups by job and kind, as chosen; in the order of their names. */
export function groupsOf(
	backups: readonly RetentionBackup[],
	groupBy: ReadonlyArray<'name' | 'kind'>,
): BackupGroup[] {
	const groups = new Map<string, BackupGroup>();
	for (const backup of backups) {
		// A name that can't be read is nobody's: such backups stay among themselves.
		const unreadable = backup.state === 'unreadable';
		const name = groupBy.includes('name') && !unreadable ? backup.name : '';
		const kind = groupBy.includes('kind') && !unreadable ? backup.kind : '';
		const id = JSON.stringify([unreadable, name, kind]);
		const group = groups.get(id);
		if (group) group.backups.push(backup);
		else groups.set(id, { name, kind, backups: [backup] });
	}
	return [...groups.values()].sort((a, b) => compare(a.name, b.name) || compare(a.kind, b.kind));
}

const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);
