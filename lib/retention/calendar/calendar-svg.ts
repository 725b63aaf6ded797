import { DateTime } from 'luxon';

import { bytesInWords } from '../bytes';
import { labelOf } from '../describe-group';
import type { PlanGroup } from '../plan-types';
import { ZoneCalendar } from '../zone-calendar';

import { daysOf } from './days';
import { style } from './style';
import { escapeXml, shorten } from './xml';
import { CELL, LEFT, square, YEAR_HEIGHT, YEAR_WIDTH, yearGrid } from './year';

export interface CalendarOptions {
	/** IANA name of the zone whose days are drawn. */
	zone: string;
	/** It is marked. */
	now: Date;
	/** What stands above it all: `What retention would delete`. */
	title: string;
}

/** Pixels around everything. */
const MARGIN = 20;

const GAP = 12;

/** Newest years drawn of a job, and jobs drawn: beyond them nobody looks, and the picture gets too large for a browser. */
const MOST_YEARS = 15;
const MOST_GROUPS = 25;

/** Characters that fit a line. */
const LINE = 118;

/**
 * A picture of what stays and what goes: for each job a grid a year with a square a day. SVG 1.1 without scripts or references to
 * elsewhere; all text is escaped. Readable on light and dark, and without colours.
 */
export function calendarSvg(groups: readonly PlanGroup[], options: CalendarOptions): string {
	const calendar = new ZoneCalendar(options.zone);
	const today = DateTime.fromJSDate(options.now, { zone: options.zone }).setLocale('en');
	const parts: string[] = [];
	let y = 0;
	const put = (height: number, content: string) => {
		parts.push(`<g transform="translate(${MARGIN} ${MARGIN + y})">${content}</g>`);
		y += height;
	};
	const line = (text: string, name = '') => textAt(0, 12, shorten(text, LINE), name);

	put(22, line(options.title, 'title'));
	put(22, line(`${today.toFormat('d LLLL yyyy')}, days of ${options.zone}`, 'faint'));
	for (const group of groups.slice(0, MOST_GROUPS)) {
		y += GAP;
		put(19, line(labelOf(group), 'job'));
		put(17, line(totalsInWords(group), 'faint'));
		const rules = rulesInWords(group);
		if (rules !== '') put(17, line(rules, 'faint'));
		if (group.refused) put(17, line(group.refused.message, 'warning'));
		for (const notice of group.notices ?? []) put(17, line(notice, 'warning'));
		y += 4;
		const years = [...daysOf(group.decisions, calendar)];
		for (const [year, days] of years.slice(0, MOST_YEARS)) {
			put(YEAR_HEIGHT + GAP, yearGrid(year, days, today.toISODate()!));
		}
		if (years.length > MOST_YEARS) put(17, line(`${years.length - MOST_YEARS} older years are not drawn`));
	}
	if (groups.length === 0) put(19, line('There are no backups'));
	if (groups.length > MOST_GROUPS) put(19, line(`${groups.length - MOST_GROUPS} more jobs are not drawn`));
	put(24, legend());

	const width = YEAR_WIDTH + 2 * MARGIN;
	const height = y + 2 * MARGIN;
	return [
		`<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img">`,
		`<title>${escapeXml(options.title)}</title>`,
		style,
		`<rect class="paper" x="0.5" y="0.5" width="${width - 1}" height="${height - 1}" rx="8"/>`,
		...parts,
		'</svg>\n',
	].join('');
}

function textAt(x: number, y: number, text: string, name: string): string {
	return `<text x="${x}" y="${y}"${name && ` class="${name}"`}>${escapeXml(text)}</text>`;
}

function totalsInWords({ decisions }: PlanGroup): string {
	const sum = (action: 'keep' | 'delete') => {
		const chosen = decisions.filter((decision) => decision.action === action);
		const bytes = chosen.reduce((total, { backup }) => total + backup.size, 0);
		return `${chosen.length.toLocaleString('en')} ${action === 'keep' ? 'kept' : 'deleted'} (${bytesInWords(bytes)})`;
	};
	return `${sum('keep')}, ${sum('delete')}`;
}

/** `kept by daily 30, weekly 12, pinned 1`: a backup that several rules keep counts for each. */
function rulesInWords({ decisions }: PlanGroup): string {
	const counts = new Map<string, number>();
	for (const { action, reasons } of decisions) {
		if (action === 'keep') for (const { rule } of reasons) counts.set(rule, (counts.get(rule) ?? 0) + 1);
	}
	const words = [...counts].map(([rule, count]) => `${rule} ${count.toLocaleString('en')}`);
	return words.length === 0 ? '' : `Kept by ${words.join(', ')}`;
}

function legend(): string {
	const day = { kept: 0, deleted: 0, pinned: 0, broken: 0 };
	const entries: Array<[string, string]> = [
		[square(0, 0, { ...day, kept: 1 }), 'kept'],
		[square(0, 0, { ...day, kept: 1, deleted: 1 }), 'some kept, some deleted'],
		[square(0, 0, { ...day, deleted: 1 }), 'deleted'],
		[square(0, 0, { ...day, kept: 1, pinned: 1 }), 'pinned'],
		[square(0, 0, { ...day, kept: 1, broken: 1 }), 'incomplete or unreadable'],
		[`<rect width="${CELL}" height="${CELL}" class="none"/>`, 'no backup'],
		[`<rect width="${CELL}" height="${CELL}" rx="2.5" class="today"/>`, 'today'],
	];
	let x = LEFT;
	return entries
		.map(([picture, words]) => {
			const entry = `<g transform="translate(${x} 8)">${picture}<text x="${CELL + 5}" y="9.5" class="small faint">${words}</text></g>`;
			x += CELL + 21 + words.length * 5.3;
			return entry;
		})
		.join('');
}
