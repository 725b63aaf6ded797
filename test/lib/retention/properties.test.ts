import assert from 'node:assert/strict';
import { test } from 'node:test';

import fc from 'fast-check';

import type { RetentionBackup } from '../../../lib/retention/backup';
import { decide as decideGroups } from '../../../lib/retention/decide';
import type { Decision, PlanOptions } from '../../../lib/retention/plan';
import { hasKeepRule, type RetentionPolicy } from '../../../lib/retention/policy';
import { ZoneCalendar, type Period } from '../../../lib/retention/zone-calendar';
import { backup, policies, times } from './arbitraries';

const now = new Date('2026-02-01T00:00:00Z');

/** Backups of all sorts: some incomplete, unreadable, pinned, proven, of the future, or linked to the one before. */
const backups = fc
	.tuple(times, fc.array(fc.nat({ max: 39 }), { minLength: 20, maxLength: 20 }))
	.map(([moments, dice]) => {
		const made: RetentionBackup[] = [];
		for (const [index, at] of [...moments].sort((a, b) => a - b).entries()) {
			const die = dice[index % dice.length]!;
			const parent = made.at(-1);
			made.push(
				backup(die === 0 ? at + 20 * 365 * 86_400_000 : at, {
					key: `k${index}`,
					size: 100 * (die + 1),
					state: die === 1 || die === 2 ? 'unfinished' : die === 3 ? 'unreadable' : 'complete',
					...(die === 4 && { pinned: true }),
					...(die === 5 && { locked: true }),
					proven: die % 3 !== 0,
					tags: die % 7 === 0 ? ['red'] : [],
					...(die > 30 && parent && { chain: { parent: parent.id, base: parent.chain?.base ?? parent.id } }),
				}),
			);
		}
		return made;
	});

const options = fc.record({ now: fc.constant(now), countOnlyProven: fc.boolean() });

/** As `planRetention`, without its forecast. */
const decide = (all: RetentionBackup[], policy: RetentionPolicy, opts: PlanOptions) =>
	decideGroups(all, policy, opts, new ZoneCalendar(policy.zone)).flatMap(({ decisions }) => decisions);
const kept = (decisions: Decision[]) =>
	decisions.filter(({ action }) => action === 'keep').map((each) => each.backup);
const deleted = (decisions: Decision[]) =>
	decisions.filter(({ action }) => action === 'delete').map((each) => each.backup);
const counts = (each: RetentionBackup, { countOnlyProven }: PlanOptions) =>
	each.state === 'complete' &&
	+new Date(each.createdAt) <= +now &&
	(!countOnlyProven || Boolean(each.proven));

const property = <Args extends [unknown, ...unknown[]]>(
	name: string,
	arbitraries: { [Index in keyof Args]: fc.Arbitrary<Args[Index]> },
	check: (...args: Args) => void,
) => test(name, () => fc.assert(fc.property(...arbitraries, check), { numRuns: 400 }));

property('the floor is never broken', [backups, policies, options], (all, policy, opts) => {
	const decisions = decide(all, policy, opts);
	const good = (list: RetentionBackup[]) => list.filter((each) => counts(each, opts)).length;
	const floor = Math.max(policy.keepMinimum ?? 0, 1);
	assert.ok(good(kept(decisions)) >= Math.min(floor, good(all)), `${good(kept(decisions))} good ones left`);
});

property('what must not be deleted never is', [backups, policies, options], (all, policy, opts) => {
	for (const each of deleted(decide(all, policy, opts))) {
		assert.ok(
			!each.pinned && !each.locked && each.state !== 'unreadable' && +new Date(each.createdAt) <= +now,
		);
	}
});

property('what a kept backup needs is kept', [backups, policies, options], (all, policy, opts) => {
	const decisions = decide(all, policy, opts);
	const gone = new Set(deleted(decisions).map(({ id }) => id));
	for (const { chain } of kept(decisions))
		if (chain) assert.ok(!gone.has(chain.parent) && !gone.has(chain.base));
});

property(
	'planning again after deletion deletes nothing',
	[backups, policies, options],
	(all, policy, opts) => {
		const left = kept(decide(all, policy, opts));
		assert.deepEqual(deleted(decide(left, policy, opts)), []);
	},
);

property('the order of the list changes nothing', [backups, policies, options], (all, policy, opts) => {
	const keys = (list: RetentionBackup[]) => kept(decide(list, policy, opts)).map(({ key }) => key);
	assert.deepEqual(keys([...all].reverse()), keys(all));
});

const periods: Record<string, Period> = {
	...{ hourly: 'hour', daily: 'day', weekly: 'week', monthly: 'month', yearly: 'year' },
};

property(
	'in a period of a rule, nothing newer than what it keeps is deleted',
	[backups, policies, options],
	(all, policy, opts) => {
		const uncapped = { ...policy, maxTotalBytes: undefined };
		const decisions = decide(all, uncapped, opts);
		const calendar = new ZoneCalendar(policy.zone);
		for (const { backup: stays, reasons } of decisions) {
			for (const { rule } of reasons) {
				const period = periods[rule];
				if (!period || !counts(stays, opts)) continue;
				const bucket = (each: RetentionBackup) =>
					calendar.bucket(period, calendar.local(Date.parse(each.createdAt)));
				for (const goes of deleted(decisions)) {
					if (!counts(goes, opts) || goes.createdAt <= stays.createdAt) continue;
					assert.notEqual(
						bucket(goes),
						bucket(stays),
						`${goes.key} is newer than ${stays.key}, which is ${rule}`,
					);
				}
			}
		}
	},
);

property(
	'where nothing is full, one more backup takes no place outside its own periods',
	[backups, policies, options, fc.nat()],
	(linked, policy, opts, pick) => {
		const all = linked.map((each) => ({ ...each, chain: undefined }));
		// Without counts nothing is ever full: all that a new backup may displace lies in its own periods.
		const rules = { ...policy, maxTotalBytes: undefined, keepMinimum: undefined };
		for (const name of [
			'keepLast',
			'keepHourly',
			'keepDaily',
			'keepWeekly',
			'keepMonthly',
			'keepYearly',
		] as const) {
			if (rules[name]) rules[name] = -1;
		}
		if (!hasKeepRule(rules)) return;
		const before = decide(all, rules, opts);
		const newest = all.filter((each) => counts(each, opts)).at(-1);
		if (!newest) return;
		// Not newer than the newest, from which durations count.
		const at = Math.min(Date.parse(all[pick % all.length]!.createdAt) + 1, Date.parse(newest.createdAt));
		const added = backup(at, { key: 'added', proven: true });
		const after = decide([...all, added], rules, opts);
		const goneNow = new Set(deleted(after).map(({ key }) => key));
		const calendar = new ZoneCalendar(policy.zone);
		const bucket = (period: Period, each: RetentionBackup) =>
			calendar.bucket(period, calendar.local(Date.parse(each.createdAt)));
		for (const each of kept(before)) {
			if (!goneNow.has(each.key)) continue;
			const shared = Object.values(periods).some((period) => bucket(period, each) === bucket(period, added));
			assert.ok(shared, `${each.key} goes since ${added.createdAt} was added`);
		}
	},
);

property(
	'an incomplete or unproven backup displaces none that counts',
	[backups, policies, options],
	(all, policy, opts) => {
		const uncapped = { ...policy, maxTotalBytes: undefined };
		const alone = all.filter((each) => each.state !== 'unfinished' || each.chain);
		const keys = (list: RetentionBackup[]) =>
			kept(decide(list, uncapped, opts))
				.filter((each) => counts(each, opts))
				.map(({ key }) => key);
		const together = new Set(keys(all));
		for (const key of keys(alone)) assert.ok(together.has(key), `${key} goes because of incomplete ones`);
	},
);
