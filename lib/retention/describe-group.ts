import type { RetentionBackup } from './backup';
import type { Draft } from './decide';
import type { Decision, PlanGroup, Reason } from './plan-types';

/** How to call a group in a sentence. */
export function labelOf({ name, kind, folder }: { name: string; kind: string; folder?: string }): string {
	const place = folder === undefined ? '' : folder === '' ? ' at the top' : ` in ${folder}`;
	if (name === '') return (kind === '' ? 'all jobs' : `kind ${kind}`) + place;
	return (kind === '' ? name : `${name} (${kind})`) + place;
}

const OVER_CAP: readonly Reason[] = [
	{ rule: 'size-cap', text: 'the oldest go when the backups exceed the size cap' },
];

/** Puts the decisions on a group into words. */
export function describeGroup(
	{ name, kind, folder, evaluation, overCap, refused }: Draft,
	kept: ReadonlySet<RetentionBackup>,
	neededBy: ReadonlyMap<RetentionBackup, RetentionBackup>,
): PlanGroup {
	const decisions = evaluation.order.map((backup): Decision => {
		const reasons = overCap.has(backup) ? [] : evaluation.reasons.get(backup)!;
		const drop = evaluation.drops.get(backup);
		const { key } = backup;
		if (!kept.has(backup)) {
			return { key, backup, action: 'delete', reasons: drop ? [drop] : OVER_CAP };
		}
		const dependent = neededBy.get(backup);
		const chain = dependent && { rule: 'chain', text: `needed to restore ${dependent.key}, which stays` };
		const all = chain ? [...reasons, chain] : reasons;
		if (all.length > 0) return { key, backup, action: 'keep', reasons: all };
		const text = `would go, but nothing of its group is deleted now${drop ? `: ${drop.text}` : ''}`;
		return { key, backup, action: 'keep', reasons: [{ rule: 'refused', text }] };
	});
	const notices = noticesOf(decisions);
	const place = folder === undefined ? {} : { folder };
	return {
		name,
		kind,
		...place,
		decisions,
		...(notices.length > 0 && { notices }),
		...(refused && { refused }),
	};
}

const NOTICES: Readonly<Record<string, string>> = {
	unreadable: 'with a manifest that cannot be read: kept, look at them',
	future: 'dated in the future: kept and not counted, check the clock that made them',
	misdated: 'dated after they were stored: kept and not counted, check the clocks of n8n and of the storage',
	orphan: 'whose chain is broken: kept and not counted, they cannot be restored as they are',
};

/** What the operator should know of a group besides the decisions. */
function noticesOf(decisions: readonly Decision[]): string[] {
	const counts = new Map<string, number>();
	for (const { reasons } of decisions) {
		for (const { rule } of reasons) if (rule in NOTICES) counts.set(rule, (counts.get(rule) ?? 0) + 1);
	}
	const notices = [...counts].map(([rule, count]) => `${count} ${NOTICES[rule]!}`);
	const incomplete = decisions.filter(
		({ backup, action }) => backup.state === 'unfinished' && action === 'keep',
	);
	if (incomplete.length > 0) notices.push(`${incomplete.length} incomplete: not counted`);
	return notices;
}
