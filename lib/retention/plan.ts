import type { RetentionBackup } from './backup';
import { decide } from './decide';
import { parseDuration } from './duration';
import { nextToGo } from './next-to-go';
import type { PlanGroup, PlanOptions, RetentionPlan } from './plan-types';
import { parsePolicy, type RetentionPolicy } from './policy';
import { ZoneCalendar } from './zone-calendar';

export type { RetentionBackup } from './backup';
export type { Decision, PlanGroup, PlanOptions, Reason, Refusal, RetentionPlan } from './plan-types';

/**
 * Decides for each backup whether it stays or goes, and says why. Nothing is deleted by it, and it reads no clock of its own.
 *
 * Whatever isn't understood stays: unreadable manifests, backups of the future, chains with a gap. A refusal concerns one
 * group; the others go on.
 *
 * @throws LifeboatError `POLICY_INVALID`, `POLICY_EMPTY`, or `INVALID_DURATION` for `expectedEvery`.
 */
export function planRetention(
	backups: readonly RetentionBackup[],
	policy: RetentionPolicy,
	options: PlanOptions,
): RetentionPlan {
	const checked = parsePolicy(policy);
	if (options.expectedEvery !== undefined) parseDuration(options.expectedEvery);
	const calendar = new ZoneCalendar(checked.zone);
	const groups = decide(backups, checked, options, calendar);
	const next = nextToGo(groups, checked, options, calendar);
	return { groups, totals: totalsOf(groups), ...(next && { next }) };
}

function totalsOf(groups: readonly PlanGroup[]): RetentionPlan['totals'] {
	const totals = { kept: 0, deleted: 0, freedBytes: 0, keptBytes: 0 };
	for (const { decisions } of groups) {
		for (const { action, backup } of decisions) {
			if (action === 'keep') {
				totals.kept += 1;
				totals.keptBytes += backup.size;
			} else {
				totals.deleted += 1;
				totals.freedBytes += backup.size;
			}
		}
	}
	return totals;
}
