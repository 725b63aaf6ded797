import fc from 'fast-check';

import type { RetentionBackup } from '../../../lib/retention/backup';
import type { RetentionPolicy } from '../../../lib/retention/policy';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** Past for every clock that this may run under: restic has its own, and counts backups of the future. */
const END = Date.parse('2026-01-01T00:00Z');

/** Zones with summer time in both hemispheres, with half and quarter hours, with odd or abolished changes, and without any. */
export const zones = (
	'UTC Europe/Berlin Europe/London America/New_York America/St_Johns America/Sao_Paulo ' +
	'Australia/Lord_Howe Pacific/Apia Pacific/Chatham Asia/Kathmandu Asia/Tehran Africa/Casablanca'
).split(' ');

/** Moments around which calendars go wrong: changes of the clocks, leap days, the turn of ISO years. */
const trickyMoments = [
	'2025-03-30T01:00Z',
	'2025-10-26T01:00Z',
	'2024-11-03T06:00Z',
	'2025-03-09T07:00Z',
	'2024-04-06T15:00Z',
	'2024-10-05T15:30Z',
	'2024-02-29T12:00Z',
	'2020-02-29T23:30Z',
	'2021-01-03T23:00Z',
	'2020-12-31T12:00Z',
	'2018-02-18T02:00Z',
	'2018-11-04T03:00Z',
	'2022-09-21T20:30Z',
	'2024-04-07T02:00Z',
	'2025-02-28T23:00Z',
].map((text) => Date.parse(text));

const start = fc.integer({
	min: Date.parse('2017-01-01T00:00Z') / MINUTE,
	max: Date.parse('2024-12-31T00:00Z') / MINUTE,
});

const regular = fc
	.record({
		start,
		every: fc.constantFrom(20 * MINUTE, HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 7 * DAY, 30 * DAY),
		count: fc.integer({ min: 1, max: 60 }),
		jitter: fc.array(fc.integer({ min: 0, max: 90 }), { minLength: 60, maxLength: 60 }),
		gap: fc.record({ at: fc.nat({ max: 60 }), length: fc.nat({ max: 30 }) }),
	})
	.map(({ start: from, every, count, jitter, gap }) =>
		Array.from({ length: count }, (_, index) => index)
			.filter((index) => index < gap.at || index >= gap.at + gap.length)
			.map((index) => (from + jitter[index]!) * MINUTE + index * every),
	);

const around = fc
	.record({
		moment: fc.constantFrom(...trickyMoments),
		distances: fc.array(fc.integer({ min: -300, max: 300 }), { minLength: 1, maxLength: 40 }),
		unit: fc.constantFrom(5 * MINUTE, 15 * MINUTE, HOUR, DAY),
	})
	.map(({ moment, distances, unit }) => distances.map((distance) => moment + distance * unit));

/** Times of backups in milliseconds, all in the past: steady runs with gaps, clusters, both together, and duplicates. */
export const times = fc
	.tuple(fc.array(fc.oneof(regular, around), { minLength: 1, maxLength: 3 }), fc.nat({ max: 3 }))
	.map(([parts, twice]) => {
		const all = parts.flat().filter((at) => at < END);
		return [...all, ...all.slice(0, twice)];
	})
	.filter((all) => all.length > 0);

const count = fc.oneof({ weight: 5, arbitrary: fc.integer({ min: 1, max: 12 }) }, fc.constant(100));

export const duration = fc
	.record({
		y: fc.nat({ max: 2 }),
		m: fc.nat({ max: 14 }),
		d: fc.nat({ max: 45 }),
		h: fc.nat({ max: 50 }),
		parts: fc.subarray(['y', 'm', 'd', 'h'] as const, { minLength: 1 }),
	})
	.map((values) => values.parts.map((part) => `${values[part] || 1}${part}`).join(''));

/** The rules that restic has too. At least one. */
export const resticRules = fc
	.record(
		{
			...{ keepLast: count, keepHourly: count, keepDaily: count, keepWeekly: count, keepMonthly: count },
			...{ keepYearly: count, keepWithin: duration, keepWithinHourly: duration, keepWithinDaily: duration },
			...{ keepWithinWeekly: duration, keepWithinMonthly: duration, keepWithinYearly: duration },
			keepTags: fc.subarray(['red', 'blue', 'red,blue'], { minLength: 1 }),
		},
		{ requiredKeys: [] },
	)
	.chain((rules) =>
		// Of many rules at once each hides what another gets wrong: take few.
		fc.subarray(Object.keys(rules), { maxLength: Math.min(3, Object.keys(rules).length) }).map((names) => {
			const few = Object.fromEntries(Object.entries(rules).filter(([name]) => names.includes(name)));
			return Object.keys(few).length > 0 ? few : { keepDaily: 5 };
		}),
	);

export const policies = fc
	.record(
		{
			...{ keepMinimum: fc.nat({ max: 20 }), keepDays: fc.integer({ min: 1, max: 60 }) },
			maxTotalBytes: fc.integer({ min: 1, max: 30_000 }),
		},
		{ requiredKeys: [] },
	)
	.chain((limits) =>
		fc
			.tuple(resticRules, fc.constantFrom(...zones))
			.map(([rules, zone]): RetentionPolicy => ({ ...rules, ...limits, zone })),
	);

/** One backup; everything that isn't given is sound. */
export function backup(at: number | string, fields: Partial<RetentionBackup> = {}): RetentionBackup {
	const createdAt = new Date(at).toISOString();
	const id = fields.id ?? fields.key ?? createdAt;
	return {
		...{ key: id, id, name: 'shop', kind: 'database', createdAt, size: 1000, state: 'complete' },
		...fields,
	};
}
