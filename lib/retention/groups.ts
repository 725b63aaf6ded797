import type { RetentionBackup } from './backup';

/** Backups that are thinned out together. */
export interface BackupGroup {
	/** Empty where not grouped by name, or unknown. */
	name: string;
	kind: string;
	/** Where grouped by folder: as the keys have it, `shop/2026`, empty at the top. */
	folder?: string;
	backups: RetentionBackup[];
}

/** What backups of one group have in common. */
export type GroupBy = 'name' | 'kind' | 'folder';

/** By job and kind. */
export const USUAL_GROUPS: readonly GroupBy[] = ['name', 'kind'];

/** Divides backups as chosen; in the order of names, kinds and folders. */
export function groupsOf(
	backups: readonly RetentionBackup[],
	groupBy: readonly GroupBy[] = USUAL_GROUPS,
): BackupGroup[] {
	const groups = new Map<string, BackupGroup>();
	for (const backup of backups) {
		// A name that can't be read is nobody's: such backups stay among themselves.
		const unreadable = backup.state === 'unreadable';
		const name = groupBy.includes('name') && !unreadable ? backup.name : '';
		const kind = groupBy.includes('kind') && !unreadable ? backup.kind : '';
		const folder = backup.key.slice(0, Math.max(0, backup.key.lastIndexOf('/')));
		const place = groupBy.includes('folder') ? { folder } : {};
		const id = JSON.stringify([unreadable, name, kind, place]);
		const group = groups.get(id);
		if (group) group.backups.push(backup);
		else groups.set(id, { name, kind, ...place, backups: [backup] });
	}
	return [...groups.values()].sort(
		(a, b) => compare(a.name, b.name) || compare(a.kind, b.kind) || compare(a.folder ?? '', b.folder ?? ''),
	);
}

const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);
