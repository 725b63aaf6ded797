import { DateTime, IANAZone } from 'luxon';

import type { CalendarDuration } from './duration';

export type Period = 'hour' | 'day' | 'week' | 'month' | 'year';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

/**
 * Tells hours, days, ISO weeks, months and years apart in one time zone.
 *
 * "Local" below means the zone's wall clock as milliseconds, as if it were UTC's. It goes back an hour when summer time ends;
 * both passes of that hour are one hour of the calendar, as they are in restic.
 */
export class ZoneCalendar {
	private readonly zone: IANAZone;

	/** Offsets in milliseconds of days (of UTC) on which the clocks aren't changed; undefined for the others. */
	private readonly offsets = new Map<number, number | undefined>();

	private readonly words = new Map<string, string>();

	constructor(zoneName: string) {
		this.zone = IANAZone.create(zoneName);
	}

	/** What the zone's clocks show at a moment (milliseconds since 1970). */
	local(at: number): number {
		return at + this.offset(at);
	}

	/**
	 * Goes back by a duration: years, months and days on the calendar, then hours as they pass. A day that a month doesn't have
	 * runs over into the next month (31 October less one month is 1 October), and a wall-clock time that the clocks skip is read
	 * with the offset before the change: both as Go's `Time.AddDate` does it, on which restic's durations rest.
	 */
	minus(at: number, duration: CalendarDuration): number {
		const local = new Date(this.local(at));
		local.setUTCFullYear(
			local.getUTCFullYear() - duration.years,
			local.getUTCMonth() - duration.months,
			local.getUTCDate() - duration.days,
		);
		const moment = this.moment(local.getTime()) - duration.hours * HOUR;
		return Number.isNaN(moment) ? -Infinity : moment;
	}

	/** The moment at which the zone's clocks show a local time. */
	moment(local: number): number {
		return local - this.offset(local - this.offset(local));
	}

	/** First moment of the day that lies a number of days before that of a local time, as a local time. */
	startOfDay(local: number, daysBefore = 0): number {
		return (Math.floor(local / DAY) - daysBefore) * DAY;
	}

	/** The same number for all local times of one period, another for each other period. */
	bucket(period: Period, local: number): number {
		switch (period) {
			case 'hour':
				return Math.floor(local / HOUR);
			case 'day':
				return Math.floor(local / DAY);
			case 'week':
				// Day 0, 1 January 1970, was a Thursday; ISO weeks begin on Mondays.
				return Math.floor((Math.floor(local / DAY) + 3) / 7);
			case 'month': {
				const date = new Date(local);
				return date.getUTCFullYear() * 12 + date.getUTCMonth();
			}
			case 'year':
				return new Date(local).getUTCFullYear();
		}
	}

	/** The period as programs write it: `2026-11-21T14`, `2026-11-21`, `2026-W47`, `2026-11`, `2026`. */
	label(period: Period, local: number): string {
		if (period === 'week') {
			const { weekYear, weekNumber } = DateTime.fromMillis(local, { zone: 'utc' });
			return `${weekYear}-W${String(weekNumber).padStart(2, '0')}`;
		}
		return new Date(local).toISOString().slice(0, { hour: 13, day: 10, month: 7, year: 4 }[period]);
	}

	/** The period as people say it: `Saturday 21 November 2026`, `week 47 of 2026`. */
	inWords(period: Period, local: number): string {
		if (period === 'hour') {
			const hour = new Date(local).toISOString().slice(11, 13);
			return `${hour}:00 to ${hour}:59 on ${this.inWords('day', local)}`;
		}
		const key = `${period} ${this.bucket(period, local)}`;
		let text = this.words.get(key);
		if (text === undefined) {
			const format = {
				day: 'cccc d LLLL yyyy',
				week: "'week' W 'of' kkkk",
				month: 'LLLL yyyy',
				year: 'yyyy',
			};
			text = DateTime.fromMillis(local, { zone: 'utc', locale: 'en' }).toFormat(format[period]);
			this.words.set(key, text);
		}
		return text;
	}

	/** Milliseconds that the zone is ahead of UTC at a moment. */
	private offset(at: number): number {
		const day = Math.floor(at / DAY);
		if (!this.offsets.has(day)) {
			// No zone changes its clocks twice within a day, so equal offsets at both ends hold for all of it.
			const start = this.zone.offset(day * DAY);
			this.offsets.set(day, start === this.zone.offset((day + 1) * DAY) ? start * 60_000 : undefined);
		}
		return this.offsets.get(day) ?? this.zone.offset(at) * 60_000;
	}
}
