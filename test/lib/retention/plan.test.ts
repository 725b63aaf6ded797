import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import type { RetentionBackup } from '../../../lib/retention/backup';
import { labelOf } from '../../../lib/retention/describe-group';
import { planRetention, type PlanOptions, type RetentionPlan } from '../../../lib/retention/plan';
import type { RetentionPolicy } from '../../../lib/retention/policy';
import { backup } from './arbitraries';

const now = new Date('2026-11-21T12:00:00Z');
const HOUR = 3_600_000;

/** One backup a day at 02:00 UTC, the newest today; the key tells how many days ago. */
const daily = (count: number, fields: (daysAgo: number) => Partial<RetentionBackup> = () => ({})) =>
	Array.from({ length: count }, (_, daysAgo) =>
		backup(Date.parse('2026-11-21T02:00Z') - daysAgo * 24 * HOUR, { key: `d${daysAgo}`, ...fields(daysAgo) }),
	);

const plan = (
	backups: RetentionBackup[],
	policy: Omit<RetentionPolicy, 'zone'>,
	options: Partial<PlanOptions> = {},
) => planRetention(backups, { zone: 'UTC', ...policy }, { now, ...options });

const keysOf = (result: RetentionPlan, action: 'keep' | 'delete') =>
	result.groups.flatMap(({ decisions }) =>
		decisions.filter((decision) => decision.action === action).map(({ key }) => key),
	);

const rulesOf = (result: RetentionPlan, key: string) =>
	result.groups
		.flatMap(({ decisions }) => decisions)
		.find((decision) => decision.key === key)!
		.reasons.map(({ rule }) => rule);

describe('rules that restic does not have', () => {
	test('keeps whole days back from the newest backup', () => {
		const backups = [
			backup('2026-11-20T23:00Z', { key: 'new' }),
			backup('2026-11-18T00:00Z', { key: 'first' }),
		];
		backups.push(backup('2026-11-17T23:59:59.999Z', { key: 'before' }));
		const result = plan(backups, { keepDays: 2 });
		assert.deepEqual(keysOf(result, 'keep'), ['new', 'first']);
		assert.deepEqual(rulesOf(result, 'first'), ['days']);
	});

	test('-1 keeps all of a kind', () => {
		const result = plan([...daily(20), ...daily(20, (n) => ({ key: `twice ${n}` }))], { keepDaily: -1 });
		assert.equal(keysOf(result, 'keep').length, 20);
		assert.equal(keysOf(plan(daily(20), { keepLast: -1 }), 'keep').length, 20);
	});

	test('never leaves fewer than the floor', () => {
		const result = plan(daily(10), { keepLast: 1, keepMinimum: 4 });
		assert.deepEqual(keysOf(result, 'keep'), ['d0', 'd1', 'd2', 'd3']);
		assert.deepEqual(rulesOf(result, 'd3'), ['minimum']);
	});

	test('the size cap takes the oldest, down to the floor', () => {
		assert.deepEqual(keysOf(plan(daily(10), { maxTotalBytes: 4500 }), 'keep'), ['d0', 'd1', 'd2', 'd3']);
		const low = plan(daily(10), { maxTotalBytes: 1, keepMinimum: 3 });
		assert.deepEqual(keysOf(low, 'keep'), ['d0', 'd1', 'd2']);
		assert.deepEqual(keysOf(plan(daily(10), { keepLast: 5, maxTotalBytes: 1 }), 'keep'), ['d0']);
		const pinned = daily(4, (n) => ({ pinned: n === 3 }));
		assert.deepEqual(keysOf(plan(pinned, { maxTotalBytes: 2000 }), 'keep'), ['d0', 'd3']);
	});

	test('buckets end at midnight of the zone', () => {
		const late = [
			backup('2026-11-20T22:30Z', { key: 'late' }),
			backup('2026-11-20T23:30Z', { key: 'later' }),
		];
		assert.deepEqual(keysOf(plan(late, { keepDaily: 9 }), 'keep'), ['later']);
		const berlin = planRetention(late, { keepDaily: 9, zone: 'Europe/Berlin' }, { now });
		assert.deepEqual(keysOf(berlin, 'keep'), ['later', 'late']);
		assert.equal(berlin.groups[0]!.decisions[0]!.reasons[0]!.bucket, '2026-11-21');
	});
});

describe('guards', () => {
	test('an empty policy is refused', () => {
		for (const policy of [{}, { keepDaily: 0 }, { keepTags: [] }, { keepMinimum: 5 }]) {
			assert.throws(() => plan(daily(3), policy), { code: 'POLICY_EMPTY' }, JSON.stringify(policy));
		}
	});

	test('a policy with a misspelt rule, a wrong zone or a wrong duration is refused', () => {
		for (const policy of [{ keepDialy: 3 }, { zone: 'Berlin' }, { keepWithin: '3w' }, { keepWithin: '0d' }]) {
			assert.throws(() => plan(daily(3), { keepLast: 3, ...policy }), { code: 'POLICY_INVALID' });
		}
		assert.throws(() => plan(daily(3), { keepLast: 1 }, { expectedEvery: '1 day' }), {
			code: 'INVALID_DURATION',
		});
	});

	test('a policy that would delete all is refused, and the other groups go on', () => {
		const other = daily(3, (n) => ({ key: `o${n}`, name: 'other', tags: n === 0 ? ['keep'] : [] }));
		const result = plan([...daily(3), ...other], { keepTags: ['keep'] });
		assert.deepEqual(keysOf(result, 'delete'), ['o1', 'o2']);
		assert.equal(result.groups.find(({ name }) => name === 'shop')!.refused!.code, 'WOULD_DELETE_ALL');
		assert.deepEqual(rulesOf(result, 'd0'), ['refused']);
	});

	test('what is kept only because it does not count does not stand for a good backup', () => {
		const result = plan([backup('2027-01-01', { key: 'future' }), ...daily(3)], { keepTags: ['none'] });
		assert.equal(result.groups[0]!.refused!.code, 'WOULD_DELETE_ALL');
		assert.equal(keysOf(result, 'delete').length, 0);
	});

	test('when backups have stopped, nothing is deleted, until there is a new one', () => {
		const result = plan(daily(10), { keepLast: 2 }, { expectedEvery: '9h' });
		assert.equal(result.groups[0]!.refused!.code, 'BACKUPS_STOPPED');
		assert.match(
			result.groups[0]!.refused!.message,
			/^Your backups of shop \(database\) have stopped: .*21 November/,
		);
		assert.equal(keysOf(result, 'delete').length, 0);
		assert.equal(keysOf(plan(daily(10), { keepLast: 2 }, { expectedEvery: '10h' }), 'delete').length, 8);
	});

	test('a new but incomplete backup does not hide that good ones have stopped', () => {
		const broken = backup('2026-11-21T11:00Z', { key: 'broken', state: 'unfinished' });
		const result = plan([broken, ...daily(5)], { keepLast: 2 }, { expectedEvery: '9h' });
		assert.equal(result.groups[0]!.refused?.code, 'BACKUPS_STOPPED');
	});

	test('at most so many deletions a run, over all groups', () => {
		const two = [...daily(5), ...daily(5, (n) => ({ key: `o${n}`, name: 'other' }))];
		assert.equal(keysOf(plan(two, { keepLast: 1 }, { maxDeletions: 8 }), 'delete').length, 8);
		const refused = plan(two, { keepLast: 1 }, { maxDeletions: 7 });
		assert.equal(keysOf(refused, 'delete').length, 0);
		assert.deepEqual(
			refused.groups.map((group) => group.refused?.code),
			['TOO_MANY_DELETIONS', 'TOO_MANY_DELETIONS'],
		);
	});

	test('at most such a share of each group', () => {
		const two = [...daily(10), ...daily(4, (n) => ({ key: `o${n}`, name: 'other' }))];
		const result = plan(two, { keepLast: 3 }, { maxDeletePercent: 50 });
		assert.deepEqual(keysOf(result, 'delete'), ['o3']);
		assert.equal(result.groups.find(({ name }) => name === 'shop')!.refused!.code, 'TOO_MANY_DELETIONS');
	});

	test('pinned and locked backups stay', () => {
		const result = plan(
			daily(9, (n) => ({ pinned: n === 5, locked: n === 6 })),
			{ keepLast: 1 },
		);
		assert.deepEqual(keysOf(result, 'keep'), ['d0', 'd5', 'd6']);
		assert.deepEqual(rulesOf(result, 'd5'), ['pinned']);
		assert.deepEqual(rulesOf(result, 'd6'), ['locked']);
	});

	test('an unreadable manifest keeps its backup, and takes nobody’s place', () => {
		const unreadable = {
			...backup(+now, { key: 'x', state: 'unreadable', problem: 'not JSON' }),
			createdAt: '',
		};
		const result = plan([{ ...unreadable, name: '', id: '' }, ...daily(3)], { keepLast: 2 });
		assert.deepEqual(keysOf(result, 'keep'), ['x', 'd0', 'd1']);
		assert.deepEqual(rulesOf(result, 'x'), ['unreadable']);
		assert.match(result.groups[0]!.decisions[0]!.reasons[0]!.text, /manifest can't be read.*: not JSON$/);
		assert.match(result.groups[0]!.notices![0]!, /1 with a manifest that cannot be read/);
	});

	test('a manifest with a time that is none counts as unreadable', () => {
		const result = plan([{ ...backup(+now, { key: 'x' }), createdAt: 'yesterday' }, ...daily(3)], {
			keepLast: 2,
		});
		assert.deepEqual(keysOf(result, 'keep'), ['d0', 'd1', 'x']);
	});

	test('backups of the future stay, are reported and do not count', () => {
		const result = plan([backup('2026-11-21T12:00:00.001Z', { key: 'f' }), ...daily(3)], { keepLast: 2 });
		assert.deepEqual(keysOf(result, 'keep'), ['f', 'd0', 'd1']);
		assert.deepEqual(rulesOf(result, 'f'), ['future']);
		assert.match(result.groups[0]!.notices![0]!, /1 dated in the future/);
		const within = plan([backup('2030-01-01', { key: 'f' }), ...daily(9)], { keepWithin: '2d' });
		assert.deepEqual(keysOf(within, 'keep'), ['f', 'd0', 'd1']);
	});

	test('incomplete backups never push out good ones, and go when the rules say so', () => {
		const result = plan(
			daily(9, (n) => ({ state: n < 3 || n === 8 ? 'unfinished' : 'complete' })),
			{ keepLast: 3 },
		);
		assert.deepEqual(keysOf(result, 'keep'), ['d0', 'd1', 'd2', 'd3', 'd4', 'd5']);
		assert.match(result.groups[0]!.notices![0]!, /3 incomplete/);
	});

	test('a group without a good backup loses nothing', () => {
		const broken = daily(5, () => ({ state: 'unfinished' }));
		const result = plan(broken, { keepLast: 2 });
		assert.equal(keysOf(result, 'delete').length, 0);
		assert.equal(result.groups[0]!.refused!.code, 'NO_GOOD_BACKUP');
	});

	test('where only proven backups count, unproven ones never push them out', () => {
		const backups = daily(12, (n) => ({ proven: n % 4 === 3 }));
		const all = plan(backups, { keepLast: 3 });
		assert.deepEqual(keysOf(all, 'keep'), ['d0', 'd1', 'd2']);
		const proven = plan(backups, { keepLast: 3 }, { countOnlyProven: true });
		assert.deepEqual(keysOf(proven, 'keep'), ['d0', 'd1', 'd2', 'd3', 'd7', 'd11']);
		const none = plan(daily(5), { keepLast: 3 }, { countOnlyProven: true });
		assert.equal(none.groups[0]!.refused!.code, 'NO_GOOD_BACKUP');
		assert.match(none.groups[0]!.refused!.message, /proven/);
	});

	test('the floor counts proven backups where only those count', () => {
		const backups = daily(8, (n) => ({ proven: n >= 5 }));
		const result = plan(backups, { keepLast: 1, keepMinimum: 2 }, { countOnlyProven: true });
		assert.deepEqual(keysOf(result, 'keep'), ['d0', 'd5', 'd6']);
	});
});

describe('chains', () => {
	/** A full backup on each seventh day, increments in between; d0 is the newest. */
	const chained = (count: number) =>
		daily(count, (n) => {
			const base = `d${n + (6 - (n % 7))}`;
			return n % 7 === 6 ? {} : { chain: { parent: `d${n + 1}`, base } };
		});

	test('what a kept backup needs stays, with the reason', () => {
		const result = plan(chained(21), { keepLast: 1 });
		assert.deepEqual(keysOf(result, 'keep'), ['d0', 'd1', 'd2', 'd3', 'd4', 'd5', 'd6']);
		const { reasons } = result.groups[0]!.decisions.find(({ key }) => key === 'd1')!;
		assert.deepEqual(reasons, [{ rule: 'chain', text: 'needed to restore d0, which stays' }]);
	});

	test('a base of another group stays as well, also for a group that refuses', () => {
		const full = backup('2026-11-01', { key: 'full', kind: 'files' });
		const newer = backup('2026-11-02', { key: 'newer full', kind: 'files' });
		const part = backup('2026-11-03', { key: 'part', chain: { parent: 'full', base: 'full' } });
		assert.deepEqual(rulesOf(plan([full, newer, part], { keepLast: 1 }), 'full'), ['chain']);
		const old = plan(
			[full, backup(+now, { key: 'today', kind: 'files' }), part],
			{ keepLast: 1 },
			{ expectedEvery: '3d' },
		);
		assert.deepEqual(keysOf(old, 'delete'), []);
	});

	test('a broken chain is kept, reported, and does not count', () => {
		const lost = chained(7).filter(({ key }) => key !== 'd3');
		const result = plan(
			[...lost, ...daily(3, (n) => ({ key: `old ${n}`, createdAt: `2026-01-0${n + 1}T00:00:00Z` }))],
			{
				keepLast: 5,
			},
		);
		assert.deepEqual(rulesOf(result, 'd0'), ['orphan']);
		assert.equal(keysOf(result, 'delete').length, 1);
		assert.match(result.groups[0]!.notices![0]!, /3 whose chain is broken/);
	});

	test('a chain in a circle or on an incomplete base is broken', () => {
		const circle = [
			backup('2026-11-01', { key: 'a', chain: { parent: 'b', base: 'b' } }),
			backup('2026-11-02', { key: 'b', chain: { parent: 'a', base: 'a' } }),
			...daily(2),
		];
		assert.deepEqual(rulesOf(plan(circle, { keepLast: 1 }), 'a'), ['orphan', 'chain']);
		const incomplete = chained(7).map((each) =>
			each.key === 'd6' ? { ...each, state: 'unfinished' as const } : each,
		);
		assert.deepEqual(rulesOf(plan(incomplete, { keepLast: 1 }), 'd0'), ['orphan']);
	});

	test('the size cap takes a chain from its newest on, and the older chain first', () => {
		const result = plan(chained(14), { maxTotalBytes: 9000 });
		assert.deepEqual(keysOf(result, 'keep'), ['d0', 'd1', 'd2', 'd3', 'd4', 'd5', 'd6', 'd12', 'd13']);
		assert.deepEqual(keysOf(plan(chained(14), { maxTotalBytes: 1 }), 'keep').length, 7);
	});
});

test('the size cap spares a base even where a wrong clock dates it after its increment', () => {
	const full = backup('2026-11-02', { key: 'full' });
	const part = backup('2026-11-01', { key: 'part', chain: { parent: 'full', base: 'full' } });
	const result = plan([...daily(1), full, part], { maxTotalBytes: 2000 });
	assert.deepEqual(keysOf(result, 'delete'), ['part']);
});

describe('groups and totals', () => {
	test('groups by job and kind, as chosen', () => {
		const backups = [
			...daily(2, (n) => ({ key: `a${n}`, name: 'a' })),
			...daily(2, (n) => ({ key: `b${n}`, name: 'a', kind: 'files' })),
		];
		assert.equal(keysOf(plan(backups, { keepLast: 1 }), 'keep').length, 2);
		assert.equal(keysOf(plan(backups, { keepLast: 1 }, { groupBy: ['name'] }), 'keep').length, 1);
		assert.equal(plan(backups, { keepLast: 1 }, { groupBy: [] }).groups.length, 1);
	});

	test('thins out jobs of the same name apart where they lie in different folders, as chosen', () => {
		const backups = ['', 'one/', 'one/deep/'].flatMap((folder) =>
			daily(3, (n) => ({ key: `${folder}a${n}`, name: 'a' })),
		);
		const together = plan(backups, { keepLast: 2 });
		assert.equal(keysOf(together, 'keep').length, 2);
		assert.equal(together.groups[0]!.folder, undefined);
		const { groups } = plan(backups, { keepLast: 2 }, { groupBy: ['name', 'kind', 'folder'] });
		assert.deepEqual(
			groups.map(({ folder, decisions }) => [
				folder,
				decisions.filter(({ action }) => action === 'keep').map(({ key }) => key),
			]),
			[
				['', ['a0', 'a1']],
				['one', ['one/a0', 'one/a1']],
				['one/deep', ['one/deep/a0', 'one/deep/a1']],
			],
		);
		assert.deepEqual(groups.map(labelOf), [
			'a (database) at the top',
			'a (database) in one',
			'a (database) in one/deep',
		]);
		const [, inOne] = plan(backups, { keepLast: 2 }, { groupBy: ['folder'] }).groups;
		assert.equal(labelOf(inOne!), 'all jobs in one');
	});

	test('adds up and tells what goes next', () => {
		const result = plan(daily(10), { keepDaily: 7 });
		assert.deepEqual(result.totals, { kept: 7, deleted: 3, freedBytes: 3000, keptBytes: 7000 });
		assert.equal(result.next!.key, 'd6');
		assert.equal(result.next!.at, '2026-11-22T02:00:00.000Z');
		const far = plan(daily(3), { keepDaily: 7 }).next!;
		assert.deepEqual([far.key, far.at], ['d2', '2026-11-26T02:00:00.000Z']);
		assert.equal(plan(daily(1), { keepDaily: 7 }).next, undefined);
		assert.equal(plan([], { keepDaily: 7 }).groups.length, 0);
	});

	test('explains itself', () => {
		const { decisions } = plan(daily(3), { keepDaily: 2, keepYearly: 1 }).groups[0]!;
		assert.deepEqual(
			decisions.map(({ reasons }) => reasons.map(({ rule, bucket, text }) => [rule, bucket, text])),
			[
				[
					['daily', '2026-11-21', 'newest of Saturday 21 November 2026 (daily 1 of 2)'],
					['yearly', '2026', 'newest of 2026 (yearly 1 of 1)'],
				],
				[['daily', '2026-11-20', 'newest of Friday 20 November 2026 (daily 2 of 2)']],
				[['none', '2026-11-19', 'a newer backup stands for its year; older than the 2 daily']],
			],
		);
	});
});
