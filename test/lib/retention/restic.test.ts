import assert from 'node:assert/strict';
import { test } from 'node:test';

import fc from 'fast-check';
import { DateTime } from 'luxon';

import { planRetention } from '../../../lib/retention/plan';
import type { RetentionPolicy } from '../../../lib/retention/policy';
import { backup, resticRules, times, zones } from './arbitraries';
import { ResticRepository } from './restic-repository';

const HISTORIES = 5;
const POLICIES = 8;

/** Fixed, so that a failure comes again; another number finds other cases. */
const SEED = Number(process.env['LIFEBOAT_TEST_SEED'] ?? 20_261_121);

const flags: Record<string, string> = {
	...{
		keepLast: '--keep-last',
		keepHourly: '--keep-hourly',
		keepDaily: '--keep-daily',
		keepWeekly: '--keep-weekly',
	},
	...{ keepMonthly: '--keep-monthly', keepYearly: '--keep-yearly', keepWithin: '--keep-within' },
	...{ keepWithinHourly: '--keep-within-hourly', keepWithinDaily: '--keep-within-daily' },
	...{ keepWithinWeekly: '--keep-within-weekly', keepWithinMonthly: '--keep-within-monthly' },
	...{ keepWithinYearly: '--keep-within-yearly', keepTags: '--keep-tag' },
};

for (const [zoneIndex, zone] of zones.entries()) {
	test(`keeps what restic forget keeps: ${HISTORIES * POLICIES} cases in ${zone}`, async () => {
		const histories = fc.sample(
			fc.tuple(times, fc.array(fc.subarray(['red', 'blue']), { minLength: 1, maxLength: 7 })),
			{ numRuns: HISTORIES, seed: SEED + zoneIndex },
		);
		const backups = histories.flatMap(([moments, tags], history) =>
			moments.map((at, index) =>
				// Backups of one moment bear the same tags: which of them restic takes for the newer is left to chance.
				backup(at, { key: `${history} ${index}`, name: String(history), tags: tags[at % tags.length]! }),
			),
		);
		const repository = await ResticRepository.create(
			backups.map(({ name, createdAt, tags }) => ({
				host: name,
				time: DateTime.fromISO(createdAt, { zone }).toISO()!,
				...(tags?.length && { tags }),
			})),
		);
		let removed = 0;
		try {
			for (const rules of fc.sample(resticRules, { numRuns: POLICIES, seed: SEED + zoneIndex })) {
				const expected = await repository.forget(argumentsOf(rules), zone);
				assert.equal(expected.length, HISTORIES);
				const plan = planRetention(backups, { ...rules, zone }, { now: new Date() });
				for (const { host, keep, remove } of expected) {
					const what = `history ${host}, ${JSON.stringify(rules)}`;
					const group = plan.groups.find(({ name }) => name === host);
					assert.ok(group, what);
					removed += remove.length;
					if (keep.length === 0) {
						// With keep-tag alone restic 0.14 deletes all.
						assert.equal(group.refused?.code, 'WOULD_DELETE_ALL', what);
						continue;
					}
					assert.equal(group.decisions.length, keep.length + remove.length, what);
					const kept = group.decisions.filter(({ action }) => action === 'keep');
					assert.deepEqual(
						kept.map(({ backup: { createdAt } }) => createdAt),
						keep.map((time) => new Date(time).toISOString()),
						what,
					);
				}
			}
			assert.ok(removed > 100, 'there was something to decide');
		} finally {
			await repository.remove();
		}
	});
}

function argumentsOf(rules: Omit<RetentionPolicy, 'zone'>): string[] {
	return Object.entries(rules).flatMap(([name, value]) => {
		const flag = flags[name];
		assert.ok(flag, `restic has no ${name}`);
		return (Array.isArray(value) ? value : [value]).flatMap((each) => [flag, String(each)]);
	});
}
