import { DateTime } from 'luxon';

import type { Day } from './days';
import { escapeXml } from './xml';

/** Pixels: a day's square, and the distance from one to the next. */
export const CELL = 11;
export const PITCH = 13;

/** Pixels left of the first week: the year and the days of the week. */
export const LEFT = 68;

/** A year has days in up to 54 weeks. */
export const YEAR_WIDTH = LEFT + 54 * PITCH;

/** Pixels above the first day: the months. */
const MONTHS_HEIGHT = 16;

export const YEAR_HEIGHT = MONTHS_HEIGHT + 7 * PITCH;

const DAY = 86_400_000;

/** One year as a grid: a column a week from Monday to Sunday, a square a day, up to today. */
export function yearGrid(year: number, days: ReadonlyMap<number, Day>, today: string): string {
	const start = DateTime.utc(year, 1, 1);
	const length = start.daysInYear;
	const offset = start.weekday - 1;
	const parts = [`<text x="0" y="${MONTHS_HEIGHT + PITCH + 9}" class="job">${year}</text>`];
	for (const [row, name] of [
		[0, 'Mon'],
		[2, 'Wed'],
		[4, 'Fri'],
	] as const) {
		const y = MONTHS_HEIGHT + row * PITCH + 9;
		parts.push(`<text x="${LEFT - 6}" y="${y}" class="small faint end">${name}</text>`);
	}
	for (let month = 1; month <= 12; month += 1) {
		const first = DateTime.utc(year, month, 1, { locale: 'en' });
		// The first whole week of the month, so that the name stands above its days.
		const x = LEFT + Math.ceil((first.ordinal - 1 + offset) / 7) * PITCH;
		parts.push(`<text x="${x}" y="10" class="small faint">${first.toFormat('LLL')}</text>`);
	}
	const empty: string[] = [];
	for (let number = 0; number < length; number += 1) {
		const x = LEFT + Math.floor((number + offset) / 7) * PITCH;
		const y = MONTHS_HEIGHT + ((number + offset) % 7) * PITCH;
		const day = days.get(number);
		const date = new Date(start.toMillis() + number * DAY);
		// The days without a backup are one path: years of them would make the picture large.
		if (day) parts.push(cell(x, y, day, date));
		else if (date.toISOString() <= `${today}T24`) empty.push(`M${x} ${y}h${CELL}v${CELL}h-${CELL}z`);
		if (date.toISOString().startsWith(today)) {
			parts.push(
				`<rect x="${x - 1}" y="${y - 1}" width="${CELL + 2}" height="${CELL + 2}" rx="2.5" class="today"/>`,
			);
		}
	}
	return `<path class="none" d="${empty.join('')}"/>${parts.join('')}`;
}

/** The square of a day with backups, or of the legend. */
export function square(x: number, y: number, { kept, deleted, pinned, broken }: Day): string {
	const box = (inset: number, name: string) =>
		`<rect x="${x + inset}" y="${y + inset}" width="${CELL - 2 * inset}" height="${CELL - 2 * inset}" rx="2" class="${name}"/>`;
	if (kept === 0) return box(1.5, 'deleted');
	const parts = [box(0, 'kept')];
	if (deleted > 0) parts.push(`<path d="M${x + CELL} ${y + 4}v${CELL - 4}h-${CELL - 4}z" class="part"/>`);
	if (pinned > 0) parts.push(`<circle cx="${x + 4.5}" cy="${y + 4.5}" r="2.2" class="pin"/>`);
	if (broken > 0) parts.push(box(3, 'broken'));
	return parts.join('');
}

function cell(x: number, y: number, day: Day, date: Date): string {
	const { kept, deleted, pinned, broken } = day;
	const words = [
		...(kept > 0 ? [`${kept} kept`] : []),
		...(pinned > 0 ? [`${pinned} of them pinned`] : []),
		...(broken > 0 ? [`${broken} of them incomplete or unreadable`] : []),
		...(deleted > 0 ? [`${deleted} deleted`] : []),
	].join(', ');
	const name = DateTime.fromMillis(date.getTime(), { zone: 'utc', locale: 'en' }).toFormat(
		'cccc d LLLL yyyy',
	);
	return `<g>${square(x, y, day)}<title>${escapeXml(`${name}: ${words}`)}</title></g>`;
}
