import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';

import { calendarSvg } from '../../../lib/retention/calendar/calendar-svg';
import { daysOf } from '../../../lib/retention/calendar/days';
import { planRetention } from '../../../lib/retention/plan';
import { ZoneCalendar } from '../../../lib/retention/zone-calendar';
import { openBrowser, type Editor } from '../../e2e/browser';
import { backup } from './arbitraries';

const now = new Date('2026-11-21T12:00:00Z');
const HOUR = 3_600_000;
const zone = 'Europe/Berlin';
const hourly = (count: number, every: number, fields: object = {}) =>
	Array.from({ length: count }, (_, index) =>
		backup(now.getTime() - (index * every + 1) * HOUR, { key: `${index}`, ...fields }),
	);
const nasty = 'web</text><script>document.title="run"</script>&amp;" \u0000\uD800 größer';

const groups = [
	...planRetention(
		[
			...hourly(900, 12),
			...hourly(40, 24, { name: nasty }),
			backup(now.getTime(), { key: 'pinned', pinned: true }),
			backup('2026-10-01T02:00:00Z', { key: 'broken', state: 'unfinished' }),
			backup('2019-05-05T02:00:00Z', { key: 'old', pinned: true }),
		],
		{ keepDaily: 30, keepMonthly: 12, zone },
		{ now, maxDeletePercent: 50 },
	).groups,
	...planRetention(hourly(900, 12), { keepDaily: 30, keepMonthly: 12, zone }, { now }).groups,
];
const svg = calendarSvg(groups, { zone, now, title: `Plan for ${nasty}` });

test('counts each backup on its day, as the clocks of the zone have it', () => {
	const at = (time: string) => backup(time, { key: time });
	const [group] = planRetention(
		[
			at('2026-03-28T23:30:00Z'),
			at('2026-03-29T21:59:00Z'),
			at('2026-03-29T22:00:00Z'),
			at('2025-12-31T23:00:00Z'),
		],
		{ keepLast: 2, zone },
		{ now },
	).groups;
	const day = { kept: 0, deleted: 0, pinned: 0, broken: 0 };
	assert.deepEqual(
		daysOf(group!.decisions, new ZoneCalendar(zone)),
		new Map([
			[
				2026,
				new Map([
					[88, { ...day, kept: 1 }],
					[87, { ...day, kept: 1, deleted: 1 }],
					[0, { ...day, deleted: 1 }],
				]),
			],
		]),
	);
});

test('holds no script, and nothing from elsewhere', () => {
	assert.doesNotMatch(svg, /<script|<foreignObject|<image|href=|url\(|\son\w+=/i);
	assert.equal(svg.match(/https?:/g)?.length, 1, 'the name space');
});

test('stays small, however many backups there are', () => {
	const many = planRetention(hourly(100_000, 1), { keepHourly: -1, zone }, { now }).groups;
	const large = calendarSvg(many, { zone, now, title: 'x' });
	assert.ok(large.length < 2_000_000, String(large.length));
	const jobs = Array.from({ length: 200 }, (_, index) => ({ ...groups[0]!, name: `job ${index}` }));
	assert.ok(calendarSvg(jobs, { zone, now, title: 'x' }).length < 4_000_000);
});

/** What the browser makes of the picture. */
interface Seen {
	name: string;
	title: string;
	days: number;
	texts: Array<{ text: string; inside: boolean; contrast: number }>;
}

/** Runs in the page, whose names the compiler doesn't know here. */
const look = `(() => {
	const { width, height } = document.documentElement.viewBox.baseVal;
	const brightness = (color) => {
		const [r, g, b] = color.match(/[0-9.]+/g).map(Number);
		return (0.299 * r + 0.587 * g + 0.114 * b) / 255;
	};
	const paper = brightness(getComputedStyle(document.querySelector('.paper')).fill);
	return {
		name: document.documentElement.tagName,
		title: document.title,
		days: document.querySelectorAll('g > title').length,
		texts: [...document.querySelectorAll('text')].map((text) => {
			const { left, right, top, bottom } = text.getBoundingClientRect();
			return {
				text: text.textContent,
				inside: left >= 0 && right <= width && top >= 0 && bottom <= height,
				contrast: Math.abs(brightness(getComputedStyle(text).fill) - paper),
			};
		}),
	};
})()`;

describe('in a browser', () => {
	let browser: Editor;
	let folder: string;

	before(async () => {
		folder = await mkdtemp(join(tmpdir(), 'lifeboat-calendar-'));
		await writeFile(join(folder, 'calendar.svg'), svg);
		browser = await openBrowser();
	});

	after(async () => {
		await browser?.close();
		await rm(folder, { recursive: true, force: true });
	});

	test('it is a picture: all text whole, inside the frame, readable on light and dark', async () => {
		const { page } = browser;
		for (const colorScheme of ['light', 'dark'] as const) {
			await page.emulateMedia({ colorScheme });
			await page.goto(pathToFileURL(join(folder, 'calendar.svg')).href);
			const found = await page.evaluate<Seen>(look);
			assert.equal(found.name, 'svg');
			assert.equal(found.title, `Plan for ${nasty.replaceAll(/[\0\uD800]/g, '\uFFFD')}`);
			assert.ok(found.days > 400);
			assert.ok(found.texts.some(({ text }) => text.startsWith('web</text><script>')));
			for (const { text, inside, contrast } of found.texts) {
				assert.ok(inside, `"${text}" lies within the picture`);
				assert.ok(contrast > 0.3, `"${text}" can be read (${colorScheme}, ${contrast})`);
			}
			await browser.screenshot(`retention-calendar-${colorScheme}`);
		}
	});
});
