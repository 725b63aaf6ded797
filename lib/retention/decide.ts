import type { RetentionBackup } from './backup';
import { Chains } from './chains';
import { breakRefusal } from './clocks';
import { describeGroup, labelOf } from './describe-group';
import { evaluateGroup, type Evaluation } from './evaluate-group';
import { groupsOf, type BackupGroup } from './groups';
import { refusalOf, runRefusal } from './guards';
import type { PlanGroup, PlanOptions, Refusal } from './plan-types';
import type { RetentionPolicy } from './policy';
import { chooseOverCap } from './size-cap';
import type { ZoneCalendar } from './zone-calendar';

/** A group in the course of planning. */
export interface Draft extends BackupGroup {
	evaluation: Evaluation;
	overCap: Set<RetentionBackup>;
	refused?: Refusal;
}

/** The decisions on all groups: rules, then the size cap, then what chains need, then the guards that refuse. */
export function decide(
	backups: readonly RetentionBackup[],
	policy: RetentionPolicy,
	options: PlanOptions,
	calendar: ZoneCalendar,
): PlanGroup[] {
	const chains = new Chains(backups);
	const drafts = groupsOf(backups, options.groupBy).map((group): Draft => ({
		...group,
		evaluation: evaluateGroup(group.backups, policy, options, calendar, chains),
		overCap: new Set(),
	}));

	const wanted = new Set<RetentionBackup>();
	for (const { evaluation } of drafts) {
		for (const [backup, reasons] of evaluation.reasons) if (reasons.length > 0) wanted.add(backup);
	}
	if (policy.maxTotalBytes !== undefined) applySizeCap(drafts, wanted, policy, chains);

	let { kept, neededBy } = withNeeded(wanted, chains);
	for (const draft of drafts) {
		const deletions = draft.backups.filter((backup) => !kept.has(backup)).length;
		const keptGood = draft.evaluation.good.filter((backup) => kept.has(backup)).length;
		draft.refused = refusalOf(
			labelOf(draft),
			draft.evaluation,
			deletions,
			keptGood,
			options,
			calendar,
			policy.zone,
		);
	}
	if (options.checkClocks) {
		for (const draft of drafts) {
			const goes = (backup: RetentionBackup) => !kept.has(backup);
			draft.refused ??= breakRefusal(labelOf(draft), draft.evaluation.complete, policy, goes);
		}
	}
	const refuse = () => {
		if (!drafts.some(({ refused }) => refused)) return;
		for (const { refused, backups: all } of drafts) if (refused) for (const each of all) wanted.add(each);
		({ kept, neededBy } = withNeeded(wanted, chains));
	};
	refuse();
	const deletions = backups.length - kept.size;
	if (options.maxDeletions !== undefined && deletions > options.maxDeletions) {
		const limit = options.maxDeletions;
		for (const draft of drafts) {
			if (draft.backups.some((each) => !kept.has(each))) draft.refused = runRefusal(deletions, limit);
		}
		refuse();
	}

	return drafts.map((draft) => describeGroup(draft, kept, neededBy));
}

/** All that is wanted and what it needs. */
function withNeeded(wanted: ReadonlySet<RetentionBackup>, chains: Chains) {
	const kept = new Set(wanted);
	const neededBy = chains.complete(kept);
	return { kept, neededBy };
}

/** Takes out of `wanted` what doesn't fit the cap, group by group. */
function applySizeCap(
	drafts: Draft[],
	wanted: Set<RetentionBackup>,
	policy: RetentionPolicy,
	chains: Chains,
): void {
	const { kept } = withNeeded(wanted, chains);
	for (const { evaluation, overCap } of drafts) {
		const stay = evaluation.order.filter((backup) => kept.has(backup));
		const exempt = new Set(evaluation.protectedOnes);
		const floor = Math.max(1, policy.keepMinimum ?? 0);
		for (const members of [evaluation.good, evaluation.complete]) {
			for (const backup of members.filter((each) => kept.has(each)).slice(0, floor)) exempt.add(backup);
		}
		chains.complete(exempt);
		const chosen = chooseOverCap(stay, kept, exempt, policy.maxTotalBytes!, chains);
		for (const backup of chosen) overCap.add(backup);
		// What a deletion that was cut short left behind has no size, so no cap would ever reach it.
		const oldest = evaluation.complete.findLast((backup) => kept.has(backup));
		const start = oldest ? Date.parse(oldest.createdAt) : -Infinity;
		for (const backup of stay) {
			if (backup.state !== 'unfinished' || exempt.has(backup)) continue;
			if (Date.parse(backup.createdAt) < start) overCap.add(backup);
		}
		for (const backup of overCap) wanted.delete(backup);
	}
}
