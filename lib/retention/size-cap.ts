import type { RetentionBackup } from './backup';
import type { Chains } from './chains';

/**
 * Chooses what goes so that the kept backups of a group fit a size: incomplete ones first, then the oldest, those that rest on
 * one full backup together and from their newest on, since the others need not the newest but it needs them.
 *
 * @param group the kept ones of the group, newest first; `kept` holds those of all groups, and loses what is chosen.
 * @param exempt what must not be chosen, nor what it needs.
 */
export function chooseOverCap(
	group: readonly RetentionBackup[],
	kept: Set<RetentionBackup>,
	exempt: ReadonlySet<RetentionBackup>,
	maxTotalBytes: number,
	chains: Chains,
): Set<RetentionBackup> {
	const chosen = new Set<RetentionBackup>();
	let total = totalBytes(group);
	if (total <= maxTotalBytes) return chosen;
	let order = group.filter((backup) => !exempt.has(backup)).reverse();
	if (!chains.empty) {
		const start = new Map(order.map((backup) => [backup, Date.parse(chains.startedAt(backup))]));
		const place = new Map(order.map((backup, index) => [backup, index]));
		order.sort((a, b) => start.get(a)! - start.get(b)! || place.get(b)! - place.get(a)!);
	}
	order = [
		...order.filter(({ state }) => state !== 'complete'),
		...order.filter(({ state }) => state === 'complete'),
	];
	// Once is enough unless a backup is dated before, or at the moment of, the one that it needs.
	for (let found = true; found;) {
		found = false;
		for (const backup of order) {
			if (total <= maxTotalBytes) break;
			if (chosen.has(backup) || chains.neededBy(backup).some((each) => kept.has(each))) continue;
			chosen.add(backup);
			kept.delete(backup);
			total -= backup.size;
			found = true;
		}
	}
	return chosen;
}

export function totalBytes(backups: Iterable<RetentionBackup>): number {
	let total = 0;
	for (const { size } of backups) total += size;
	return total;
}
