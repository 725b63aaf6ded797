import { LifeboatError } from '../errors';

/** A span of calendar time, each part zero or more. Years to days follow the calendar, hours are real hours. */
export interface CalendarDuration {
	years: number;
	months: number;
	days: number;
	hours: number;
}

const PARTS = { y: 'years', m: 'months', d: 'days', h: 'hours' } as const;
const PATTERN = /^(?:(\d{1,5})y)?(?:(\d{1,5})m)?(?:(\d{1,6})d)?(?:(\d{1,7})h)?$/;

/**
 * Reads a duration in restic's notation: years, months, days and hours in this order, such as `30d`, `1y6m` or `12h`.
 *
 * @throws LifeboatError `INVALID_DURATION`, also for a duration of nothing.
 */
export function parseDuration(text: string): CalendarDuration {
	const match = PATTERN.exec(text.trim());
	const [years = 0, months = 0, days = 0, hours = 0] = (match ?? [])
		.slice(1)
		.map((part) => Number(part ?? 0));
	if (match === null || years + months + days + hours === 0) {
		throw new LifeboatError('INVALID_DURATION', `'${text}' is not a duration`, {
			hint: 'Write years, months, days and hours in this order, e.g. 30d, 1y6m or 12h (m is months)',
		});
	}
	return { years, months, days, hours };
}

/** The duration in words: `1 year and 6 months`. */
export function durationInWords(duration: CalendarDuration): string {
	const parts = Object.values(PARTS)
		.filter((part) => duration[part] > 0)
		.map((part) => `${duration[part]} ${duration[part] === 1 ? part.slice(0, -1) : part}`);
	return parts.length > 1 ? `${parts.slice(0, -1).join(', ')} and ${parts.at(-1)}` : (parts[0] ?? 'no time');
}
