import type { IDataObject } from 'n8n-workflow';

import type { Deletion } from '../../lib/retention/apply';
import { bytesInWords } from '../../lib/retention/bytes';
import type { Decision, PlanGroup, RetentionPlan } from '../../lib/retention/plan';

/** What became of each backup; without results it is a dry run. */
export type Results = ReadonlyMap<Decision, Deletion>;

/** An item about one backup. */
export function describeDecision(
	decision: Decision,
	group: PlanGroup,
	{ next }: RetentionPlan,
	result: Deletion | undefined,
): IDataObject {
	const { key, backup, action, reasons } = decision;
	return {
		...{ key, name: backup.name, kind: backup.kind, createdAt: backup.createdAt, size: backup.size },
		action,
		deleted: result?.deleted === true,
		reason: result?.reason ?? reasons.map(({ text }) => text).join('; '),
		...(result?.error === undefined ? {} : { failed: true }),
		rules: reasons.map(({ rule }) => rule),
		buckets: reasons.flatMap(({ bucket }) => bucket ?? []),
		...(next?.key === key && result?.deleted !== true ? { goesNextAt: next.at } : {}),
		...(group.refused ? { refused: group.refused.message } : {}),
	};
}

/** An item about one job. */
export function describeGroup(group: PlanGroup, { next }: RetentionPlan, results: Results): IDataObject {
	const { name, kind, folder, decisions, notices, refused } = group;
	const totals = totalsOf(decisions, results);
	const goesNext = decisions.some(({ key }) => key === next?.key) ? next : undefined;
	return {
		...{ name, kind, ...(folder === undefined ? {} : { folder }), backups: decisions.length, ...totals },
		notices: notices ?? [],
		...(goesNext ? { nextToGo: goesNext.key, nextToGoAt: goesNext.at, nextToGoIf: goesNext.text } : {}),
		...(refused ? { refused: refused.message, refusedCode: refused.code, advice: refused.hint } : {}),
	};
}

/** What stays and what goes; a deletion that failed stays. */
export function totalsOf(decisions: readonly Decision[], results: Results) {
	const totals = { kept: 0, keptBytes: 0, toDelete: 0, deleted: 0, freedBytes: 0, failed: 0 };
	for (const decision of decisions) {
		const { action, backup } = decision;
		const result = results.get(decision);
		const goes = action === 'delete' && (result === undefined || result.deleted);
		if (action === 'delete') totals.toDelete += 1;
		if (result?.deleted) totals.deleted += 1;
		if (result?.error !== undefined) totals.failed += 1;
		if (goes) totals.freedBytes += backup.size;
		else {
			totals.kept += 1;
			totals.keptBytes += backup.size;
		}
	}
	return totals;
}

/** The run in two or three sentences. */
export function summaryOf(plan: RetentionPlan, results: Results, dryRun: boolean): string {
	const decisions = plan.groups.flatMap((group) => group.decisions);
	const { kept, keptBytes, toDelete, deleted, freedBytes } = totalsOf(decisions, results);
	const { next } = plan;
	return [
		dryRun
			? `Would delete ${toDelete} of ${decisions.length} backups and free ${bytesInWords(freedBytes)}; ${kept} (${bytesInWords(keptBytes)}) stay`
			: `Deleted ${deleted} of ${decisions.length} backups and freed ${bytesInWords(freedBytes)}; ${kept} (${bytesInWords(keptBytes)}) stay`,
		...(next ? [`Next to go is ${next.key}, about ${next.at.slice(0, 16)}Z, ${next.text}`] : []),
	].join('. ');
}
