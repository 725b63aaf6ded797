import assert from 'node:assert/strict';
import { mkdtemp, rm, utimes } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

import { toRetentionBackup, type RetentionBackup } from '../../../lib/retention/backup';
import { planRetention, type RetentionPlan } from '../../../lib/retention/plan';
import type { RetentionRules } from '../../../lib/retention/policy';
import { readBackup } from '../../../lib/storage/backups';
import { localStorage } from '../../../lib/storage/local/local-storage';
import { backup } from './arbitraries';
import { putBackup } from './stored-backups';

const DAY = 86_400_000;
const TODAY = Date.parse('2026-11-21T02:00Z');

/** One backup a day; the key tells how many days ago. */
const daily = (count: number) =>
	Array.from({ length: count }, (_, daysAgo) => made(`d${daysAgo}`, TODAY - daysAgo * DAY));

const made = (key: string, at: number): RetentionBackup => backup(at, { key });

/** Planned on a machine whose clock shows `at`. */
const plan = (backups: RetentionBackup[], rules: RetentionRules, at: number, checkClocks = true) =>
	planRetention(backups, { zone: 'UTC', ...rules }, { now: new Date(at + DAY / 2), checkClocks });

const deleted = ({ groups }: RetentionPlan) =>
	groups.flatMap(({ decisions }) => decisions.filter(({ action }) => action === 'delete')).length;

const tenYears = TODAY + 3650 * DAY;

test('a backup that is dated years after the storage received it pushes nothing out, and is told of', () => {
	const backups = [
		{ ...made('wrong', tenYears), storedBefore: new Date(TODAY + DAY).toISOString() },
		...daily(40),
	];
	for (const rules of [{ keepDays: 30 }, { keepWithin: '30d' }, { keepDaily: 30 }, { keepLast: 30 }]) {
		const result = plan(backups, rules, tenYears);
		const sound = plan(daily(40), rules, TODAY);
		assert.equal(deleted(result), deleted(sound), JSON.stringify(rules));
		const [first] = result.groups[0]!.decisions;
		assert.deepEqual([first?.key, first?.action, first?.reasons[0]?.rule], ['wrong', 'keep', 'misdated']);
		assert.match(result.groups[0]!.notices![0]!, /1 dated after they were stored.*check the clocks/);
	}
	assert.equal(deleted(plan(backups, { keepDays: 30 }, tenYears, false)), 40);
});

test('only times that can not be are told: not clocks that differ by hours, copies, or storages without times', async () => {
	const folder = await mkdtemp(join(tmpdir(), 'lifeboat-clocks-'));
	try {
		const storage = localStorage({ folder });
		await putBackup(storage, 'shop.tar', new Date(TODAY).toISOString());
		const times = [TODAY - DAY / 2, TODAY + 300 * DAY, 0, Date.parse('1980-01-01'), TODAY - 2 * DAY];
		const told = [];
		for (const time of times) {
			await utimes(join(folder, 'shop.tar'), new Date(time), new Date(time));
			told.push(toRetentionBackup(await readBackup(storage, 'shop.tar')).storedBefore);
		}
		assert.deepEqual(told, [undefined, undefined, undefined, undefined, '2026-11-19T02:00:00.000Z']);
	} finally {
		await rm(folder, { recursive: true });
	}
});

test('a clock that jumped, of n8n and storage alike, takes nothing away by days at once', () => {
	for (const rules of [{ keepDays: 30 }, { keepWithin: '30d' }, { keepWithinDaily: '30d' }]) {
		for (const since of [1, 2]) {
			const wrong = Array.from({ length: since }, (_, number) => made(`w${number}`, tenYears - number * DAY));
			const result = plan([...wrong, ...daily(30)], rules, tenYears);
			assert.equal(deleted(result), 0);
			const { refused } = result.groups[0]!;
			assert.equal(refused?.code, 'AFTER_BREAK');
			assert.match(
				refused.message,
				/all 30 backups of shop \(database\) from before a break of 36(49|50) days/,
			);
			assert.equal(deleted(plan([...wrong, ...daily(30)], rules, tenYears, false)), 30);
		}
	}
});

test('a real break ends by itself, and what goes by numbers, or keeps some from before, is not held up', () => {
	const later = TODAY + 60 * DAY;
	const since = (count: number) =>
		Array.from({ length: count }, (_, number) => made(`n${number}`, later - number * DAY));
	assert.equal(deleted(plan([...since(3), ...daily(30)], { keepDays: 30 }, later)), 30);
	assert.equal(deleted(plan([...since(1), ...daily(30)], { keepDays: 30, keepMinimum: 5 }, later)), 26);
	assert.equal(deleted(plan([...since(1), ...daily(30)], { keepLast: 1 }, later)), 30);
	const weekend = TODAY + 3 * DAY;
	assert.equal(deleted(plan([made('monday', weekend), ...daily(30)], { keepDays: 30 }, weekend)), 2);
});
