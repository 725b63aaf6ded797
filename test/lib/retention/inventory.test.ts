import assert from 'node:assert/strict';
import { test } from 'node:test';

import fc from 'fast-check';

import { takeInventory } from '../../../lib/retention/inventory';
import { backup } from './arbitraries';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const now = new Date('2026-11-21T12:00:00Z');
const ago = (days: number) => now.getTime() - days * DAY;
const options = { now, zone: 'UTC' };

test('tells age, rhythm and what is missing', () => {
	const [job] = takeInventory(
		[0.5, 1.5, 2.5, 5.5, 6.5, 7.5].map((days) => backup(ago(days))),
		options,
	);
	assert.ok(job);
	assert.equal(job.newest?.age, DAY / 2);
	assert.equal(job.interval, DAY);
	assert.deepEqual(job.gaps, [
		{
			from: new Date(ago(5.5)).toISOString(),
			to: new Date(ago(2.5)).toISOString(),
			length: 3 * DAY,
			missed: 2,
		},
	]);
	assert.equal(job.entries[2]?.gap, job.gaps[0]);
});

test('a gap up to now is told as one that lasts', () => {
	const [job] = takeInventory(
		[2, 3, 4].map((days) => backup(ago(days))),
		options,
	);
	assert.deepEqual(job?.gaps, [{ from: new Date(ago(2)).toISOString(), length: 2 * DAY, missed: 1 }]);
});

test('the expected distance decides, not the usual one, where it is given', () => {
	const weekly = [0, 7, 14].map((days) => backup(ago(days)));
	assert.deepEqual(takeInventory(weekly, options)[0]?.gaps, []);
	const [job] = takeInventory(weekly, { ...options, expectedEvery: '1d' });
	assert.equal(job?.gaps.length, 2);
	// A calendar day of 25 hours is no gap: summer time ended that night.
	const autumn = ['2026-10-24T12:00+02:00', '2026-10-25T12:00+01:00'].map((at) => backup(at));
	const berlin = { now: new Date('2026-10-25T12:00+01:00'), expectedEvery: '1d' };
	assert.deepEqual(takeInventory(autumn, { ...berlin, zone: 'Europe/Berlin' })[0]?.gaps, []);
	assert.equal(takeInventory(autumn, { ...berlin, zone: 'UTC' })[0]?.gaps.length, 1);
});

test('an incomplete backup or one of the future closes no gap', () => {
	const [job] = takeInventory(
		[
			...[4, 5, 6].map((days) => backup(ago(days))),
			backup(ago(1), { state: 'unfinished', problem: 'object missing' }),
			backup(ago(-1), { key: 'future' }),
		],
		options,
	);
	assert.equal(job?.complete, 3);
	assert.equal(job.newest?.age, 4 * DAY);
	assert.equal(job.gaps.at(-1)?.missed, 3);
});

test('sizes are compared with those before, and one broken backup does not bend the trend', () => {
	const sizes = [1300, 1290, 1280, 5, 1260, 1250, 1240];
	const [job] = takeInventory(
		sizes.map((size, days) => backup(ago(days), { size })),
		options,
	);
	assert.equal(Math.round(job!.entries[3]!.sizeChange!), -100);
	assert.ok(Math.abs(job!.entries[0]!.sizeChange!) < 5);
	assert.equal(job!.trend?.perMonth, 300);
	assert.equal(takeInventory([backup(ago(0)), backup(ago(1))], options)[0]?.trend, undefined);
});

test('every backup is listed once, the newest first, what has no time last', () => {
	fc.assert(
		fc.property(
			fc.array(
				fc.record({
					at: fc.integer({ min: 0, max: now.getTime() }),
					state: fc.constantFrom('complete', 'unfinished', 'unreadable'),
					name: fc.constantFrom('a', 'b'),
				}),
			),
			(list) => {
				const backups = list.map(({ at, state, name }, index) => ({
					...backup(at, { key: String(index), name, state }),
					...(state === 'unreadable' && { createdAt: '', name: '', kind: '' }),
				}));
				const jobs = takeInventory(backups, options);
				const keys = jobs.flatMap(({ entries }) => entries.map((entry) => entry.backup.key));
				assert.deepEqual(keys.toSorted(), backups.map(({ key }) => key).toSorted());
				for (const { entries, gaps, interval } of jobs) {
					const ages = entries.flatMap(({ age }) => age ?? []);
					assert.deepEqual(
						ages,
						ages.toSorted((a, b) => a - b),
					);
					assert.ok(entries.slice(ages.length).every(({ age }) => age === undefined));
					for (const { length } of gaps) assert.ok(length > interval!);
				}
			},
		),
	);
});
