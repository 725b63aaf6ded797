import assert from 'node:assert/strict';
import { test } from 'node:test';

import { DateTime } from 'luxon';

import type { Observation, WatchedBackup, WatchRules, WatchState } from '../../../lib/watch/types';
import { NOTHING_SEEN, watch } from '../../../lib/watch/watch';

const zone = 'Europe/Berlin';
const HOUR = 3_600_000;

const rules: WatchRules = {
	zone,
	maxAge: '25h',
	schedule: { times: ['02:30'], grace: '1h' },
	maxShrinkPercent: 40,
	maxGrowthPercent: 100,
	testEvery: '7d',
	minFreePercent: 10,
};

const local = (text: string) => DateTime.fromISO(text, { zone });

/** What lies there at a moment, if nothing else is said: a backup each night, 30 kept, a test each Sunday at noon. */
function nights(
	from: string,
	to: string,
	fields: (day: string) => Partial<WatchedBackup> | undefined,
): WatchedBackup[] {
	const backups: WatchedBackup[] = [];
	for (let day = local(from); day <= local(to); day = day.plus({ days: 1 })) {
		const date = day.toISODate()!;
		const more = fields(date);
		if (!more) continue;
		// n8n's schedule starts a moment late, and skips the hour that summer time skips: it then starts at three.
		const at = local(`${date}T02:30:04`);
		backups.push({
			...{ key: `shop-${date}`, id: date, name: 'shop', kind: 'database' },
			...{ createdAt: at.toUTC().toISO()!, size: 1000, state: 'complete' },
			...more,
		});
	}
	return backups;
}

interface Injected {
	backup?: (day: string) => Partial<WatchedBackup> | undefined;
	/** Local times of restore tests, and whether they passed. */
	tests: Array<[string, boolean]>;
	/** Local times between which the destination can't be reached. */
	outages?: Array<[string, string]>;
	freePercent?: (at: DateTime) => number;
}

/** Polls once an hour; tells what the watch said and when. */
function run(from: string, to: string, injected: Injected): string[] {
	const { backup = () => ({}), tests, outages = [], freePercent = () => 50 } = injected;
	const start = local(from).minus({ days: 40 }).toISODate()!;
	const all = nights(start, to, (day) => (day < from.slice(0, 10) ? {} : backup(day)));
	let state: WatchState = NOTHING_SEEN;
	const told: string[] = [];
	for (let now = local(from).toMillis(); now < local(to).toMillis(); now += HOUR) {
		const at = DateTime.fromMillis(now, { zone });
		const isOut = outages.some(([begin, end]) => at >= local(begin) && at < local(end));
		const backups = all
			.filter(({ createdAt }) => Date.parse(createdAt) + 10 * 60_000 <= now)
			.slice(-30)
			.map((each) => ({ ...each }));
		for (const [text, passed] of tests) {
			const tested = local(text);
			const newest = backups.findLast(({ createdAt }) => Date.parse(createdAt) < tested.toMillis());
			if (newest && tested.toMillis() <= now) newest.tested = { at: tested.toUTC().toISO()!, passed };
		}
		const observation: Observation = isOut
			? { reachable: false, message: 'connection refused' }
			: { reachable: true, backups, space: { freeBytes: freePercent(at), totalBytes: 100 } };
		// As n8n stores it between two polls.
		const stored = JSON.parse(JSON.stringify(state)) as WatchState;
		const result = watch(stored, observation, rules, new Date(now));
		state = result.state;
		for (const { event, problem, open } of result.events) {
			told.push(`${at.toFormat('dd.LL. HH:mm ZZ')} ${event} ${problem} (${open} open)`);
		}
	}
	return told;
}

const sundays = (...days: string[]) => days.map((day): [string, boolean] => [`${day}T12:00`, true]);

test('a month without failures, with the end of summer time in it, is silent', () => {
	const tests = sundays('2026-10-04', '2026-10-11', '2026-10-18', '2026-10-25', '2026-11-01', '2026-11-08');
	assert.deepEqual(run('2026-10-10T00:15', '2026-11-10T00:15', { tests }), []);
});

test('a month with the beginning of summer time is silent, though its night has no half past two', () => {
	const tests = sundays('2026-03-08', '2026-03-15', '2026-03-22', '2026-03-29', '2026-04-05');
	// The backup of that night begins when the clocks have jumped to three.
	const backup = (day: string) => (day === '2026-03-29' ? { createdAt: '2026-03-29T01:00:00.000Z' } : {});
	assert.deepEqual(run('2026-03-10T00:15', '2026-04-10T00:15', { tests, backup }), []);
});

test('each failure of a month is told when it begins and when it is over, and never twice', () => {
	const backup = (day: string) => {
		// Two nights without one, a night with half of one, a small one, a huge one.
		if (day === '2026-10-15' || day === '2026-10-16') return undefined;
		if (day === '2026-10-19') return { state: 'unfinished' as const, problem: 'object missing' };
		if (day === '2026-10-22') return { size: 300 };
		if (day === '2026-11-05') return { size: 5000 };
		return {};
	};
	const told = run('2026-10-10T00:15', '2026-11-10T00:15', {
		backup,
		tests: [
			...sundays('2026-10-04', '2026-10-11', '2026-10-18', '2026-10-25'),
			['2026-10-28T12:00', false],
			['2026-10-29T12:00', true],
			// The next one is a day late.
			['2026-11-06T12:00', true],
		],
		outages: [
			['2026-10-20T06:00', '2026-10-20T11:00'],
			// It begins while there is an alarm, and the night's backup comes meanwhile.
			['2026-10-16T22:00', '2026-10-17T05:00'],
		],
		freePercent: (at) => {
			if (at < local('2026-11-03T08:00') || at >= local('2026-11-04T08:00')) return 50;
			// Around the limit: one alarm, not one each hour.
			return at.hour % 2 ? 9.5 : 10.5;
		},
	});
	assert.deepEqual(told, [
		'15.10. 04:15 +02:00 alarm tooOld (2 open)',
		'15.10. 04:15 +02:00 alarm missing (2 open)',
		'16.10. 22:15 +02:00 alarm unreachable (3 open)',
		'17.10. 05:15 +02:00 resolved unreachable (0 open)',
		'17.10. 05:15 +02:00 resolved tooOld (0 open)',
		'17.10. 05:15 +02:00 resolved missing (0 open)',
		'19.10. 04:15 +02:00 alarm tooOld (2 open)',
		'19.10. 04:15 +02:00 alarm missing (2 open)',
		'20.10. 03:15 +02:00 resolved tooOld (0 open)',
		'20.10. 03:15 +02:00 resolved missing (0 open)',
		'20.10. 06:15 +02:00 alarm unreachable (1 open)',
		'20.10. 11:15 +02:00 resolved unreachable (0 open)',
		'22.10. 03:15 +02:00 alarm sizeFell (1 open)',
		'23.10. 03:15 +02:00 resolved sizeFell (0 open)',
		'28.10. 12:15 +01:00 alarm testFailed (1 open)',
		'29.10. 12:15 +01:00 resolved testFailed (0 open)',
		'03.11. 09:15 +01:00 alarm spaceLow (1 open)',
		'04.11. 08:15 +01:00 resolved spaceLow (0 open)',
		'05.11. 03:15 +01:00 alarm sizeJumped (1 open)',
		'05.11. 12:15 +01:00 alarm testOverdue (2 open)',
		'06.11. 03:15 +01:00 resolved sizeJumped (1 open)',
		'06.11. 12:15 +01:00 resolved testOverdue (0 open)',
	]);
});
