import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import fc from 'fast-check';

import type { Observation, Problem, WatchedBackup, WatchRules, WatchState } from '../../../lib/watch/types';
import { NOTHING_SEEN, watch } from '../../../lib/watch/watch';
import { backup } from '../retention/arbitraries';

const now = new Date('2026-11-21T12:00:00Z');
const HOUR = 3_600_000;
const ago = (hours: number) => now.getTime() - hours * HOUR;
const seen = (backups: WatchedBackup[], space?: { freeBytes: number; totalBytes?: number }): Observation => ({
	...{ reachable: true, backups },
	...(space && { space }),
});
const problems = (observation: Observation, rules: Omit<WatchRules, 'zone'>, before = NOTHING_SEEN) =>
	watch(before, observation, { zone: 'UTC', ...rules }, now).events.map(
		({ event, problem, job }) => `${event} ${problem}${job ? ` ${job.name}` : ''}`,
	);
const series = (sizes: number[]) => sizes.map((size, index) => backup(ago(index + 1), { size }));

describe('what counts as a good backup', () => {
	test('neither an incomplete one, nor one of the future, nor one whose chain is broken', () => {
		const old = backup(ago(48));
		for (const bad of [
			backup(ago(1), { state: 'unfinished', problem: 'object missing' }),
			backup(ago(-1)),
			backup(ago(1), { chain: { parent: 'gone', base: 'gone' } }),
		]) {
			assert.deepEqual(problems(seen([old, bad]), { maxAge: '26h' }), ['alarm tooOld shop']);
		}
		assert.deepEqual(problems(seen([old, backup(ago(1))]), { maxAge: '26h' }), []);
	});

	test('each job is watched on its own', () => {
		const backups = [backup(ago(1)), backup(ago(50), { name: 'web' })];
		assert.deepEqual(problems(seen(backups), { maxAge: '26h' }), ['alarm tooOld web']);
		assert.deepEqual(problems(seen(backups), { maxAge: '26h', jobs: ['shop'] }), []);
	});

	test('a job that is named but was never seen is missing; once there, it is well', () => {
		const rules = { zone: 'UTC', maxAge: '26h', jobs: ['shop'] };
		const first = watch(NOTHING_SEEN, seen([]), rules, now);
		assert.match(first.events[0]?.message ?? '', /^There is no good backup of shop$/);
		const second = watch(first.state, seen([backup(ago(1))]), rules, now);
		assert.deepEqual(Object.keys(second.state.alarms), []);
	});

	test('a job whose backups are all gone is told of, however it was seen before', () => {
		const rules = { zone: 'UTC', maxAge: '26h' };
		const { state } = watch(NOTHING_SEEN, seen([backup(ago(1))]), rules, now);
		const gone = watch(state, seen([]), rules, now);
		assert.deepEqual(
			gone.events.map(({ message }) => message),
			['There is no good backup of shop (database)'],
		);
	});
});

describe('the schedule', () => {
	const schedule = (times: string[], weekdays?: number[]) => ({
		schedule: { times, grace: '1h', ...(weekdays && { weekdays }) },
	});

	test('grace passes before one is missing', () => {
		const yesterday = [backup('2026-11-20T11:30:00Z')];
		assert.deepEqual(problems(seen(yesterday), schedule(['11:30'])), []);
		assert.deepEqual(problems(seen(yesterday), schedule(['11:00'])), ['alarm missing shop']);
	});

	test('the backup of one time does not stand for the next', () => {
		const rules = schedule(['10:00', '10:30', '11:00']);
		assert.deepEqual(problems(seen([backup('2026-11-21T10:30:05Z')]), rules), ['alarm missing shop']);
		assert.deepEqual(problems(seen([backup('2026-11-21T10:50:00Z')]), rules), []);
	});

	test('counts what is missing, on the days of the week that are chosen', () => {
		// 21 November 2026 is a Saturday.
		const result = watch(
			NOTHING_SEEN,
			seen([backup('2026-11-16T02:00:10Z')]),
			{ zone: 'UTC', ...schedule(['02:00'], [1, 3, 5]) },
			now,
		);
		const [event] = result.events;
		assert.equal(event?.details.missed, 2);
		assert.equal(event?.details.scheduledAt, '2026-11-20T02:00:00.000Z');
		assert.equal(
			event?.message,
			'The backup of shop (database) of 20 November 2026, 02:00 is missing: the newest good one is of 16 November 2026, 02:00, 2 are missing by now',
		);
	});

	test('what is no schedule is refused', () => {
		for (const bad of [schedule(['25:00']), schedule([]), schedule(['02:00'], []), schedule(['2'])]) {
			assert.throws(() => problems(seen([]), bad), { code: 'INVALID_SCHEDULE' });
		}
		assert.throws(() => problems(seen([]), { maxAge: 'a day' }), { code: 'INVALID_DURATION' });
	});
});

describe('sizes', () => {
	const rules = { maxShrinkPercent: 50, maxGrowthPercent: 100 };

	test('are compared with the median, which one odd backup does not move', () => {
		assert.deepEqual(problems(seen(series([490, 1000, 1, 1000, 1000])), rules), ['alarm sizeFell shop']);
		assert.deepEqual(problems(seen(series([510, 1000, 1, 1000, 1000])), rules), []);
		assert.deepEqual(problems(seen(series([2001, 1000, 9000, 1000])), rules), ['alarm sizeJumped shop']);
		assert.deepEqual(problems(seen(series([2000, 1000, 9000, 1000])), rules), []);
	});

	test('say nothing while there are too few to compare with', () => {
		assert.deepEqual(problems(seen(series([1, 1000, 1000])), rules), []);
		assert.deepEqual(problems(seen(series([1, 0, 0, 0, 0])), rules), []);
		const zoned = { zone: 'UTC', ...rules };
		const { state } = watch(NOTHING_SEEN, seen(series([1, 9, 9, 9])), zoned, now);
		const few = watch(state, seen(series([9, 9])), zoned, now);
		assert.deepEqual([few.events, Object.keys(few.state.alarms).length], [[], 1], 'what was wrong still is');
	});

	test('an alarm does not come and go around the limit', () => {
		const zoned = { zone: 'UTC', ...rules };
		const { state } = watch(NOTHING_SEEN, seen(series([490, 1000, 1000, 1000])), zoned, now);
		assert.deepEqual(watch(state, seen(series([510, 1000, 1000, 1000])), zoned, now).events, []);
		assert.equal(
			watch(state, seen(series([700, 1000, 1000, 1000])), zoned, now).events[0]?.event,
			'resolved',
		);
	});
});

describe('restore tests', () => {
	const tested = (hours: number, passed: boolean) => ({
		tested: { at: new Date(ago(hours)).toISOString(), passed },
	});

	test('the newest one counts, whatever backup it was of', () => {
		const passed = { ...backup(ago(30)), ...tested(2, true) };
		const failed = { ...backup(ago(3)), ...tested(4, false) };
		assert.deepEqual(problems(seen([failed, passed]), { testEvery: '7d' }), []);
		const worse = { ...backup(ago(3)), ...tested(1, false) };
		assert.deepEqual(problems(seen([worse, passed]), { testEvery: '7d' }), ['alarm testFailed shop']);
	});

	test('one that was never made is due as long after the first backup as after a test', () => {
		assert.deepEqual(problems(seen([backup(ago(24))]), { testEvery: '2d' }), []);
		assert.deepEqual(problems(seen([backup(ago(24)), backup(ago(49))]), { testEvery: '2d' }), [
			'alarm testOverdue shop',
		]);
	});

	test('it is remembered when retention deletes the backup that was tested', () => {
		const rules = { zone: 'UTC', testEvery: '7d' };
		const old = { ...backup(ago(400)), ...tested(10, true) };
		const { state } = watch(NOTHING_SEEN, seen([backup(ago(1)), old]), rules, now);
		assert.deepEqual(watch(state, seen([backup(ago(1)), backup(ago(300))]), rules, now).events, []);
	});
});

describe('the destination', () => {
	test('free space in bytes, in percent, and under a quota', () => {
		const low = (rules: Omit<WatchRules, 'zone'>, space?: { freeBytes: number; totalBytes?: number }) =>
			problems(seen([backup(ago(1), { size: 90 })], space), rules);
		assert.deepEqual(low({ minFreeBytes: 100 }, { freeBytes: 99 }), ['alarm spaceLow']);
		assert.deepEqual(low({ minFreeBytes: 100 }, { freeBytes: 100 }), []);
		assert.deepEqual(low({ minFreePercent: 10 }, { freeBytes: 9, totalBytes: 100 }), ['alarm spaceLow']);
		assert.deepEqual(low({ minFreePercent: 10 }, { freeBytes: 9 }), []);
		assert.deepEqual(low({ minFreePercent: 10, quotaBytes: 95 }), ['alarm spaceLow']);
		assert.deepEqual(low({ minFreePercent: 10, quotaBytes: 200 }), []);
		assert.deepEqual(low({ minFreePercent: 10 }), []);
	});

	test('while it is out of reach the other alarms stay, and nobody is told anything else', () => {
		const rules = { zone: 'UTC', maxAge: '26h', minFreePercent: 10 };
		const bad = seen([backup(ago(48))], { freeBytes: 1, totalBytes: 100 });
		const { state } = watch(NOTHING_SEEN, bad, rules, now);
		const out = watch(state, { reachable: false, message: 'no route', hint: 'Call' }, rules, now);
		assert.deepEqual(
			out.events.map(({ problem, message, hint, open }) => [problem, message, hint, open]),
			[['unreachable', "The destination of the backups can't be read: no route", 'Call', 3]],
		);
		const back = watch(out.state, bad, rules, now);
		assert.deepEqual(
			back.events.map(({ event, problem, open }) => [event, problem, open]),
			[['resolved', 'unreachable', 2]],
		);
	});

	test('a rule that is taken away takes its alarms with it', () => {
		const { state } = watch(NOTHING_SEEN, seen([backup(ago(48))]), { zone: 'UTC', maxAge: '1d' }, now);
		const without = watch(state, seen([backup(ago(48))]), { zone: 'UTC' }, now);
		assert.deepEqual([without.events, without.state.alarms], [[], {}]);
	});
});

describe('whatever happens', () => {
	const rules: WatchRules = {
		...{ zone: 'Europe/Berlin', maxAge: '1d', schedule: { times: ['02:00', '14:00'], grace: '2h' } },
		...{ maxShrinkPercent: 30, maxGrowthPercent: 30, testEvery: '3d', minFreePercent: 10, quotaBytes: 9000 },
	};
	const start = Date.parse('2026-10-23T00:00:00Z');
	const backups = fc.array(
		fc
			.record({
				hours: fc.nat({ max: 150 }),
				size: fc.constantFrom(0, 400, 500, 1000, 1100, 2000),
				name: fc.constantFrom('a', 'b'),
				state: fc.constantFrom('complete', 'complete', 'complete', 'unfinished', 'unreadable'),
				passed: fc.option(fc.boolean()),
			})
			.map(({ hours, passed, ...fields }, index = 0): WatchedBackup => {
				const at = start + hours * HOUR;
				const tested = { at: new Date(at + 5 * HOUR).toISOString(), passed: passed === true };
				return {
					...backup(at, { ...fields, key: `${hours} ${index}` }),
					...(passed !== null && { tested }),
				};
			}),
		{ maxLength: 25 },
	);
	const observation: fc.Arbitrary<Observation> = fc
		.oneof(
			{ weight: 5, arbitrary: fc.record({ backups, freeBytes: fc.nat({ max: 30 }) }) },
			{ weight: 1, arbitrary: fc.constant(undefined) },
		)
		.map((found): Observation =>
			found
				? seen(found.backups, { freeBytes: found.freeBytes, totalBytes: 100 })
				: { reachable: false, message: 'out' },
		);
	const polls = fc.array(fc.record({ observation, hours: fc.integer({ min: 1, max: 40 }) }), {
		minLength: 1,
		maxLength: 30,
	});

	/** Plays polls through; the state passes through JSON, as n8n stores it. */
	function play(all: Array<{ observation: Observation; hours: number }>) {
		let state: WatchState = NOTHING_SEEN;
		let at = start;
		return all.map(({ observation: each, hours }) => {
			at += hours * HOUR;
			const before = JSON.parse(JSON.stringify(state)) as WatchState;
			const result = watch(before, each, rules, new Date(at));
			assert.deepEqual(JSON.parse(JSON.stringify(result.state)), result.state, 'the state is JSON');
			state = result.state;
			return { ...result, before, observation: each, at: new Date(at) };
		});
	}

	test('alarm and all-clear of a problem follow each other in turn', () => {
		fc.assert(
			fc.property(polls, (all) => {
				const open = new Map<string, string>();
				for (const { events, state } of play(all)) {
					for (const { event, problem, job, since, open: count } of events) {
						const id = `${problem} ${job ? JSON.stringify([job.name, job.kind]) : ''}`.trim();
						assert.equal(open.has(id), event === 'resolved', id);
						if (event === 'alarm') open.set(id, since);
						else assert.equal(open.get(id), since);
						if (event === 'resolved') open.delete(id);
						assert.equal(count, Object.keys(state.alarms).length);
					}
					assert.deepEqual([...open.keys()].sort(), Object.keys(state.alarms).sort());
				}
			}),
			{ numRuns: 300 },
		);
	});

	test('the same poll again says nothing', () => {
		fc.assert(
			fc.property(polls, (all) => {
				for (const { state, observation: each, at } of play(all)) {
					const again = watch(state, each, rules, at);
					const since = (all: WatchState) =>
						Object.entries(all.alarms).map(([id, alarm]) => [id, alarm.since]);
					assert.deepEqual([again.events, since(again.state)], [[], since(state)]);
				}
			}),
			{ numRuns: 100 },
		);
	});

	test('every finding is an open alarm, and while all can be told nothing else is', () => {
		fc.assert(
			fc.property(polls, (all) => {
				for (const { findings, state, observation: each, before } of play(all)) {
					const alarms: Problem[] = Object.values(state.alarms).map(({ problem }) => problem);
					const found = findings.map(({ problem }) => problem);
					for (const problem of found) assert.ok(alarms.includes(problem));
					const told = (list: Problem[]) => list.filter((problem) => !problem.startsWith('size')).sort();
					if (each.reachable) assert.deepEqual(told(alarms), told(found));
					else {
						const kept = new Set([...Object.keys(before.alarms), 'unreachable']);
						assert.deepEqual(Object.keys(state.alarms).sort(), [...kept].sort());
					}
				}
			}),
			{ numRuns: 200 },
		);
	});
});
