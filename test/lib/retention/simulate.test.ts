import assert from 'node:assert/strict';
import { test } from 'node:test';

import fc from 'fast-check';

import { planRetention } from '../../../lib/retention/plan';
import { simulate } from '../../../lib/retention/simulate';
import { resticRules, zones } from './arbitraries';

const start = new Date('2026-11-21T02:30:00Z');
const options = { start, every: '6h', duration: '1y', size: 1e9 };

test('tells how many there are in a year, and how large', async () => {
	const { text, end, peak, rules, months, group } = await simulate(
		{ keepDaily: 30, keepWeekly: 12, keepMonthly: 12, zone: 'UTC' },
		options,
	);
	assert.deepEqual(rules, { daily: 30, weekly: 12, monthly: 12 });
	// Five of the weeks and two of the months end within the last 30 days.
	assert.deepEqual([end.backups, end.bytes], [47, 47e9]);
	assert.equal(group.decisions.length, 365 * 4);
	assert.equal(months.length, 13);
	assert.ok(peak.backups >= end.backups && peak.bytes === peak.backups * 1e9);
	assert.equal(
		text,
		`With one backup every 6 hours, after 1 year there are 47 backups of 47 GB in all, the oldest of 2026-12-31; at most there were ${peak.backups} GB`,
	);
});

test('a daily backup keeps its hour when the clocks change, and grows as told', async () => {
	const { group, end } = await simulate(
		{ keepLast: 400, zone: 'Europe/Berlin' },
		{ ...options, every: '1d', growthPerMonth: 10 },
	);
	const hours = new Set(group.decisions.map(({ backup }) => backup.createdAt.slice(11, 16)));
	assert.deepEqual([...hours].sort(), ['01:30', '02:30']);
	assert.equal(end.backups, 365);
	const [newest] = group.decisions;
	assert.ok(Math.abs(newest!.backup.size / 1e9 - 1.1 ** (364 / 30)) < 0.01);
});

test('more backups than a simulation may make are refused', async () => {
	await assert.rejects(simulate({ keepLast: 1, zone: 'UTC' }, { ...options, every: '1h', duration: '20y' }), {
		code: 'INVALID_OPTION',
	});
	await assert.rejects(simulate({ zone: 'UTC' }, options), { code: 'POLICY_EMPTY' });
	await assert.rejects(simulate({ keepLast: 1, zone: 'UTC' }, { ...options, every: 'daily' }), {
		code: 'INVALID_DURATION',
	});
});

test('it can be stopped, and lets others have the thread', async () => {
	const stop = new AbortController();
	setImmediate(() => stop.abort());
	await assert.rejects(
		simulate({ keepLast: 1, zone: 'UTC' }, { ...options, every: '1h', duration: '9y' }, stop.signal),
		{ name: 'AbortError' },
	);
});

test('retention day by day leaves what one run over all backups would leave', async () => {
	await fc.assert(
		fc.asyncProperty(
			resticRules.filter((rules) => !('keepTags' in rules)),
			fc.constantFrom(...zones),
			fc.constantFrom('5h', '12h', '1d', '2d', '9d'),
			async (rules, zone, every) => {
				const policy = { ...rules, zone };
				const { group, end } = await simulate(policy, { ...options, every, duration: '4m' });
				const keys = (decisions: typeof group.decisions) =>
					decisions.filter(({ action }) => action === 'keep').map(({ key }) => key);
				const all = group.decisions.map(({ backup }) => backup);
				const [whole] = planRetention(all, policy, { now: new Date(end.at) }).groups;
				assert.deepEqual(keys(group.decisions), keys(whole!.decisions));
			},
		),
		{ numRuns: 40 },
	);
});
