import type { RetentionBackup } from './backup';
import { parseDuration } from './duration';
import { groupsOf, type GroupBy } from './groups';
import { median, SAMPLE, usualInterval } from './rhythm';
import { sizeTrend, type SizeTrend } from './size-trend';
import { ZoneCalendar } from './zone-calendar';

/** A time without a backup that there should have been. */
export interface Gap {
	/** ISO 8601: the backup before it. */
	from: string;
	/** The backup after it; absent while it lasts. */
	to?: string;
	/** Milliseconds. */
	length: number;
	/** How many backups are missing, at least one. */
	missed: number;
}

export interface InventoryEntry {
	backup: RetentionBackup;
	/** Milliseconds since it began, negative for one of the future. Undefined when its time is unknown. */
	age?: number;
	/** The gap between it and the one before. */
	gap?: Gap;
	/** Difference from the median of the complete ones before it, in percent. */
	sizeChange?: number;
}

/** What there is of one job. */
export interface Inventory {
	name: string;
	kind: string;
	/** Only where grouped by folder. */
	folder?: string;
	/** Newest first; those without a known time come last. */
	entries: InventoryEntry[];
	complete: number;
	pinned: number;
	proven: number;
	totalBytes: number;
	/** The newest complete one. */
	newest?: { key: string; createdAt: string; age: number };
	/** Milliseconds between backups as a rule, as the newest ones show it. */
	interval?: number;
	/** Oldest first. */
	gaps: Gap[];
	trend?: SizeTrend;
}

export interface InventoryOptions {
	now: Date;
	/** Default: by job and kind. */
	groupBy?: readonly GroupBy[];
	/**
	 * The longest time that may lie between two backups: `26h`. Where it isn't given, half as much again as lies between them as
	 * a rule.
	 */
	expectedEvery?: string;
	/** IANA name: days, months and years of `expectedEvery` are those of this zone. */
	zone: string;
}

/** A distance longer than this many usual ones is a gap, where the operator expects none. */
const SLACK = 1.5;

/**
 * Tells of each job how old its backups are, where some are missing, and how their sizes go. Only complete backups that
 * aren't of the future close a gap or make a size usual.
 *
 * @throws LifeboatError `INVALID_DURATION` for `expectedEvery`.
 */
export function takeInventory(backups: readonly RetentionBackup[], options: InventoryOptions): Inventory[] {
	const groups = groupsOf(backups, options.groupBy);
	const allowed = options.expectedEvery === undefined ? undefined : parseDuration(options.expectedEvery);
	const calendar = new ZoneCalendar(options.zone);
	const now = options.now.getTime();
	return groups.map(({ backups: members, ...group }): Inventory => {
		const timed = members
			.map((backup) => ({ backup, at: Date.parse(backup.createdAt) }))
			.sort((a, b) => (Number.isNaN(a.at) ? 1 : Number.isNaN(b.at) ? -1 : b.at - a.at));
		const complete = timed.filter(({ backup, at }) => backup.state === 'complete' && at <= now);
		const interval = usualInterval(complete.slice(0, SAMPLE).map(({ at }) => at));
		const isGap = (from: number, to: number) =>
			allowed ? from < calendar.minus(to, allowed) : interval !== undefined && to - from > SLACK * interval;
		const gapOf = (from: number, to: number): Omit<Gap, 'to'> | undefined =>
			isGap(from, to)
				? {
						from: new Date(from).toISOString(),
						length: to - from,
						missed: interval === undefined ? 1 : Math.max(1, Math.round((to - from) / interval) - 1),
					}
				: undefined;
		const gaps = new Map<RetentionBackup, Gap>();
		const changes = new Map<RetentionBackup, number>();
		for (const [index, { backup, at }] of complete.entries()) {
			const before = complete[index + 1];
			const gap = before && gapOf(before.at, at);
			if (gap) gaps.set(backup, { ...gap, to: new Date(at).toISOString() });
			const usual = median(complete.slice(index + 1, index + SAMPLE).map((each) => each.backup.size));
			if (usual) changes.set(backup, (backup.size / usual - 1) * 100);
		}
		const newest = complete[0];
		const open = newest && gapOf(newest.at, now);
		const trend = sizeTrend(complete.map(({ backup, at }) => ({ at, size: backup.size })));
		return {
			...group,
			entries: timed.map(({ backup, at }): InventoryEntry => {
				const gap = gaps.get(backup);
				const sizeChange = changes.get(backup);
				return {
					backup,
					...(Number.isNaN(at) ? {} : { age: now - at }),
					...(gap && { gap }),
					...(sizeChange !== undefined && { sizeChange }),
				};
			}),
			complete: complete.length,
			pinned: members.filter(({ pinned }) => pinned).length,
			proven: members.filter(({ proven }) => proven).length,
			totalBytes: members.reduce((sum, { size }) => sum + size, 0),
			...(newest && {
				newest: { key: newest.backup.key, createdAt: newest.backup.createdAt, age: now - newest.at },
			}),
			...(interval !== undefined && { interval }),
			gaps: [...[...gaps.values()].reverse(), ...(open ? [open] : [])],
			...(trend && { trend }),
		};
	});
}
