import type { IExecuteFunctions, INodeExecutionData } from 'n8n-workflow';

import { applyPlan } from '../../lib/retention/apply';
import { toRetentionBackup } from '../../lib/retention/backup';
import { planRetention, type Decision, type PlanGroup, type RetentionBackup } from '../../lib/retention/plan';
import { deleteBackup, listBackups } from '../../lib/storage/backups';
import { cancelSignal } from '../shared/run';
import { prefixOf, storageFor } from '../shared/storage';

import { planOptionsOf, policyOf } from './descriptions';

export { description } from './descriptions';

export async function execute(context: IExecuteFunctions, itemIndex: number): Promise<INodeExecutionData[]> {
	const policy = policyOf(context, itemIndex);
	const signal = cancelSignal(context);
	const storage = await storageFor(context, itemIndex);
	try {
		const backups: RetentionBackup[] = [];
		for await (const stored of listBackups(storage, { prefix: prefixOf(context, itemIndex), signal })) {
			backups.push(toRetentionBackup(stored));
		}
		const plan = planRetention(backups, policy, { ...planOptionsOf(context, itemIndex), now: new Date() });
		for (const { name, refused } of plan.groups) {
			if (refused) hint(context, `${name || 'Backups'}: ${refused.message}. ${refused.hint}`);
		}
		const groups = new Map(
			plan.groups.flatMap((group) => group.decisions.map((decision) => [decision, group] as const)),
		);
		const pairedItem = { item: itemIndex };
		if (context.getNodeParameter('mode', itemIndex) !== 'delete') {
			return [...groups].map(([decision, group]) => ({ json: describe(decision, group, false), pairedItem }));
		}
		const items: INodeExecutionData[] = [];
		const failed: string[] = [];
		const remove = async (key: string, removeSignal?: AbortSignal) =>
			await deleteBackup(storage, key, removeSignal);
		for await (const result of applyPlan(plan, remove, signal)) {
			const group = groups.get(result.decision);
			const json = { ...describe(result.decision, group, result.deleted), reason: result.reason };
			if (result.error !== undefined) failed.push(result.decision.key);
			items.push({ json, pairedItem });
		}
		if (failed.length > 0) {
			hint(
				context,
				`${failed.length} of the backups could not be deleted: ${failed.slice(0, 5).join(', ')}. The items say why; the next run tries again`,
			);
		}
		return items;
	} finally {
		await storage.close();
	}
}

function hint(context: IExecuteFunctions, message: string): void {
	context.addExecutionHints({ type: 'warning', location: 'outputPane', message });
}

function describe(decision: Decision, group: PlanGroup | undefined, deleted: boolean) {
	const { key, backup, action, reasons } = decision;
	return {
		...{ key, name: backup.name, kind: backup.kind, createdAt: backup.createdAt, size: backup.size },
		action,
		deleted,
		reason: reasons.map(({ text }) => text).join('; '),
		rules: reasons.map(({ rule }) => rule),
		buckets: reasons.flatMap(({ bucket }) => bucket ?? []),
		...(group?.refused ? { refused: group.refused.message } : {}),
	};
}
