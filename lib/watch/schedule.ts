import { DateTime } from 'luxon';

import { LifeboatError } from '../errors';
import type { CalendarDuration } from '../retention/duration';

/** The times at which a backup is made. */
export interface Schedule {
	/** Times of the day on the zone's clocks: `02:00`. */
	times: readonly string[];
	/** 1 is Monday, 7 Sunday. Every day unless given. */
	weekdays?: readonly number[];
	/** How long after its time a backup may take to be there: `2h`. */
	grace: string;
}

const TIME = /^([01]?\d|2[0-3]):([0-5]\d)$/;

/** A week and a day: whatever the weekdays, a scheduled time lies within. */
const DAYS_BACK = 8;

/** How much before its time a backup may begin: clocks differ, and not all schedulers agree about the hour that summer time skips. */
const EARLY = 3_600_000;

/** More missed ones than this are not counted one by one. */
export const MOST_MISSED = 100;

/**
 * Checks a schedule that came from outside.
 *
 * @throws LifeboatError `INVALID_SCHEDULE`.
 */
export function assertSchedule({ times, weekdays = [1] }: Schedule): void {
	const bad = times.find((time) => !TIME.test(time));
	if (bad !== undefined || times.length === 0) {
		throw new LifeboatError('INVALID_SCHEDULE', `'${bad ?? ''}' is not a time of the day`, {
			hint: 'Write hours and minutes, e.g. 02:00 or 14:30',
		});
	}
	if (weekdays.length === 0 || weekdays.some((day) => !Number.isInteger(day) || day < 1 || day > 7)) {
		throw new LifeboatError('INVALID_SCHEDULE', 'The schedule has no day of the week', {
			hint: 'Choose at least one day, or remove the choice of days to have all',
		});
	}
}

/** Milliseconds of the scheduled times that are due (their grace has passed), the newest first, as far as the generator is read. */
function* dueTimes(schedule: Schedule, grace: CalendarDuration, now: number, zone: string) {
	const times = schedule.times
		.map((text) => TIME.exec(text)!)
		.map(([, hour, minute]) => ({ hour: Number(hour), minute: Number(minute) }))
		.sort((a, b) => b.hour - a.hour || b.minute - a.minute);
	const last = DateTime.fromMillis(now, { zone }).minus(grace);
	for (let day = last.startOf('day'); ; day = day.minus({ days: 1 })) {
		if (schedule.weekdays && !schedule.weekdays.includes(day.weekday)) continue;
		for (const time of times) {
			// A time that the clocks skip is read with the offset before the change.
			const at = day.set(time);
			if (at <= last) yield at.toMillis();
		}
	}
}

/** What is missing of a schedule: the newest due time without a backup, and how many there are since the newest backup. */
export function missedTimes(
	schedule: Schedule,
	grace: CalendarDuration,
	newest: number | undefined,
	now: number,
	zone: string,
): { at: number; count: number } | undefined {
	const due = dueTimes(schedule, grace, now, zone);
	let at = due.next().value as number;
	const latest = at;
	let count = 0;
	while (count < MOST_MISSED) {
		const before = due.next().value as number;
		// Half way to the one before at most, or else that one's backup would stand for this one, too.
		const early = Math.min(EARLY, (at - before) / 2);
		if (newest !== undefined && newest >= at - early) break;
		count += 1;
		if (newest === undefined && now - at > DAYS_BACK * 86_400_000) break;
		at = before;
	}
	return count === 0 ? undefined : { at: latest, count };
}
