import type { Decision } from '../plan-types';
import type { ZoneCalendar } from '../zone-calendar';

/** What the backups of one day come to. */
export interface Day {
	kept: number;
	deleted: number;
	pinned: number;
	/** Incomplete or unreadable, among those kept. */
	broken: number;
}

const DAY = 86_400_000;

/**
 * Counts the decisions by year and, within it, by day (1 January is 0), as the zone's clocks have them. Newest year first.
 * Backups without a known time have no place in it.
 */
export function daysOf(
	decisions: readonly Decision[],
	calendar: ZoneCalendar,
): Map<number, Map<number, Day>> {
	const years = new Map<number, Map<number, Day>>();
	for (const { backup, action } of decisions) {
		const at = Date.parse(backup.createdAt);
		if (Number.isNaN(at)) continue;
		const local = calendar.local(at);
		const year = new Date(local).getUTCFullYear();
		let days = years.get(year);
		if (!days) years.set(year, (days = new Map<number, Day>()));
		const number = Math.floor((local - Date.UTC(year, 0)) / DAY);
		let day = days.get(number);
		if (!day) days.set(number, (day = { kept: 0, deleted: 0, pinned: 0, broken: 0 }));
		if (action === 'delete') day.deleted += 1;
		else {
			day.kept += 1;
			if (backup.pinned) day.pinned += 1;
			if (backup.state !== 'complete') day.broken += 1;
		}
	}
	return new Map([...years].sort(([a], [b]) => b - a));
}
