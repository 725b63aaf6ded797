import type { IDataObject, IExecuteFunctions, INodeExecutionData } from 'n8n-workflow';

import { applyPlan, type Deletion } from '../../lib/retention/apply';
import { labelOf } from '../../lib/retention/describe-group';
import { calendarSvg } from '../../lib/retention/calendar/calendar-svg';
import type { Decision, PlanGroup, RetentionPlan } from '../../lib/retention/plan';
import { shortfallOf } from '../../lib/retention/shortfall';
import { assertSameBackup, deleteBackup } from '../../lib/storage/backups';
import { presentable } from '../shared/errors';
import { cancelSignal } from '../shared/run';
import { storageFor } from '../shared/storage';

import { attachCalendar } from './calendar';
import { planKnowingLocks } from './locks';
import { planOptionsOf, returnsJobs, versionsOf, wantsCalendar } from './options';
import { policyOf } from './policy';
import { describeDecision, describeGroup, summaryOf, type Results } from './report';
import { hint, readBackups } from './stored';

/**
 * Plans, and deletes where it is told to. What is left undone fails the node, but only after all the rest is done; where the node
 * goes on after errors, an item of its own says so besides all others.
 */
export async function execute(context: IExecuteFunctions, itemIndex: number): Promise<INodeExecutionData[]> {
	const policy = policyOf(context, itemIndex);
	const signal = cancelSignal(context);
	const dryRun = context.getNodeParameter('mode', itemIndex) !== 'delete';
	const now = new Date();
	const storage = await storageFor(context, itemIndex);
	try {
		const { backups } = await readBackups(context, itemIndex, storage);
		const options = { ...planOptionsOf(context, itemIndex), now };
		const plan = await planKnowingLocks(storage, backups, policy, options, signal);
		const results = new Map<Decision, Deletion>();
		if (!dryRun) {
			const remove: Parameters<typeof applyPlan>[1] = async (key, removeSignal, id) => {
				await assertSameBackup(storage, key, id, removeSignal);
				await deleteBackup(storage, key, removeSignal, versionsOf(context, itemIndex));
			};
			for await (const result of applyPlan(plan, remove, signal)) results.set(result.decision, result);
		}
		tell(context, plan, results, dryRun);
		const items = returnsJobs(context, itemIndex)
			? plan.groups.map((group) => describeGroup(group, plan, results))
			: plan.groups.flatMap((group) =>
					group.decisions.map((decision) => describeDecision(decision, group, plan, results.get(decision))),
				);
		const shortfall = dryRun ? undefined : shortfallOf(plan, [...results.values()]);
		if (shortfall) {
			if (!context.continueOnFail()) throw shortfall;
			// Of just these two fields: n8n takes it for the failed item, and the others for those that went well.
			const [error, details] = [shortfall.message, shortfall.hint ?? ''].map(presentable);
			items.push({ error, details } as IDataObject);
		}
		const output = items.map((json): INodeExecutionData => ({ json, pairedItem: { item: itemIndex } }));
		if (wantsCalendar(context, itemIndex)) {
			const title = dryRun ? 'What retention would delete' : 'What retention deleted';
			const zone = policy.zone;
			await attachCalendar(context, output, calendarSvg(asDone(plan.groups, results), { title, zone, now }));
		}
		return output;
	} finally {
		await storage.close();
	}
}

/** The decisions as they came out: what could not be deleted is still there. */
function asDone(groups: readonly PlanGroup[], results: Results): PlanGroup[] {
	if (results.size === 0) return [...groups];
	return groups.map((group) => ({
		...group,
		decisions: group.decisions.map((decision) =>
			decision.action === 'delete' && results.get(decision)?.deleted !== true
				? { ...decision, action: 'keep' as const }
				: decision,
		),
	}));
}

function tell(context: IExecuteFunctions, plan: RetentionPlan, results: Results, dryRun: boolean): void {
	hint(context, summaryOf(plan, results, dryRun), 'info');
	for (const group of plan.groups) {
		const { refused, notices = [] } = group;
		if (refused) hint(context, `${labelOf(group)}: ${refused.message}. ${refused.hint}`);
		if (notices.length > 0) hint(context, `${labelOf(group)}: ${notices.join('; ')}`);
	}
}
