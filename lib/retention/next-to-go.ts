import type { RetentionBackup } from './backup';
import { decide } from './decide';
import type { Decision, PlanGroup, PlanOptions, RetentionPlan } from './plan-types';
import type { RetentionPolicy } from './policy';
import { distanceInWords, SAMPLE, usualInterval } from './rhythm';
import type { ZoneCalendar } from './zone-calendar';

/** How many backups may be judged for this forecast in all: it must not cost more than the plan itself. */
const BUDGET = 20_000;

/**
 * Forecasts which of the backups that stay goes first, and when, if backups go on in the rhythm of the last ones (the median of
 * their distances) and at their size. Undefined when nothing goes within what the forecast may cost.
 */
export function nextToGo(
	groups: readonly PlanGroup[],
	policy: RetentionPolicy,
	options: PlanOptions,
	calendar: ZoneCalendar,
): RetentionPlan['next'] {
	let next: RetentionPlan['next'];
	let budget = BUDGET;
	for (const { name, decisions, refused } of groups) {
		const kept = decisions.filter(({ action }) => action === 'keep').map(({ backup }) => backup);
		if (refused || kept.length > budget) continue;
		const recent = recentOnes(decisions, options.now);
		const interval = usualInterval(recent.map(({ createdAt }) => Date.parse(createdAt)));
		const newest = recent[0];
		if (newest === undefined || interval === undefined) continue;
		const at = (steps: number) => new Date(Date.parse(newest.createdAt) + steps * interval);
		const goneAfter = (steps: number): RetentionBackup | undefined => {
			budget -= kept.length + steps;
			const coming = Array.from({ length: steps }, (_, index): RetentionBackup => {
				const id = `coming ${index + 1}`;
				const { proven, size, kind } = newest;
				return {
					...{ key: id, id, name, kind, size, proven: proven ?? false },
					createdAt: at(index + 1).toISOString(),
					state: 'complete',
				};
			});
			const future = decide(
				[...kept, ...coming],
				policy,
				{
					now: at(steps),
					groupBy: [],
					...(options.countOnlyProven && { countOnlyProven: options.countOnlyProven }),
				},
				calendar,
			);
			const old = new Set(kept);
			return future
				.flatMap((group) => group.decisions)
				.findLast(({ action, backup }) => action === 'delete' && old.has(backup))?.backup;
		};
		let enough = 1;
		while (budget > kept.length + enough && !goneAfter(enough)) enough *= 2;
		if (budget <= kept.length + enough) continue;
		let tooFew = Math.floor(enough / 2);
		while (enough - tooFew > 1) {
			const middle = Math.floor((enough + tooFew) / 2);
			if (goneAfter(middle)) enough = middle;
			else tooFew = middle;
		}
		const gone = goneAfter(enough)!;
		const when = at(enough).toISOString();
		if (next !== undefined && next.at <= when) continue;
		const { key, createdAt } = gone;
		next = {
			key,
			name: gone.name,
			createdAt,
			at: when,
			text: `if backups go on every ${distanceInWords(interval)}`,
		};
	}
	return next;
}

/** The newest complete backups that are not of the future, as many as show the rhythm. */
function recentOnes(decisions: readonly Decision[], now: Date): RetentionBackup[] {
	const recent: RetentionBackup[] = [];
	for (const { backup } of decisions) {
		if (recent.length === SAMPLE) break;
		if (backup.state === 'complete' && Date.parse(backup.createdAt) <= now.getTime()) recent.push(backup);
	}
	return recent;
}
