import { codeOf, LifeboatError, messageOf } from '../errors';
import type { RetentionBackup } from './backup';
import { Chains } from './chains';
import type { Decision, RetentionPlan } from './plan-types';

/** What became of one backup. */
export interface Deletion {
	decision: Decision;
	deleted: boolean;
	/** Why, in words. */
	reason: string;
	/** Why it couldn't be deleted. */
	error?: unknown;
}

/**
 * Carries a plan out. First come the backups that stay, then each deletion as it is done, a backup always after those that can't be
 * restored without it: wherever it breaks off, no backup has lost what it needs. A deletion that fails stops only what
 * needs to stay because of it; the next plan takes it up again. One that the storage has locked, or that was pinned or replaced
 * meanwhile, stays without an error.
 *
 * @param remove removes a backup with its sidecars, if the key still stands for the one with that id; must not fail on one that is
 * gone already.
 * @throws LifeboatError `PLAN_UNSAFE` before the first deletion if the plan deletes what it refused, keeps nothing, or deletes what a
 * kept backup needs: such a plan was altered after it was made. The signal's reason when it aborts.
 */
export async function* applyPlan(
	plan: RetentionPlan,
	remove: (key: string, signal: AbortSignal | undefined, id: string) => Promise<void>,
	signal?: AbortSignal,
): AsyncGenerator<Deletion> {
	const decisions = plan.groups.flatMap((group) => group.decisions);
	const chains = new Chains(decisions.map(({ backup }) => backup));
	assertSafe(plan, chains);
	for (const decision of decisions) {
		if (decision.action === 'keep') yield { decision, deleted: false, reason: reasonOf(decision) };
	}
	const failed = new Set<RetentionBackup>();
	for (const decision of dependentsFirst(decisions, chains)) {
		signal?.throwIfAborted();
		const blocker = chains.neededBy(decision.backup).find((dependent) => failed.has(dependent));
		if (blocker) {
			failed.add(decision.backup);
			yield { decision, deleted: false, reason: `stays, since ${blocker.key} needs it and is still there` };
			continue;
		}
		let error: unknown;
		try {
			await remove(decision.key, signal, decision.backup.id);
		} catch (caught) {
			signal?.throwIfAborted();
			error = caught;
		}
		if (error === undefined) {
			yield { decision, deleted: true, reason: reasonOf(decision) };
			continue;
		}
		failed.add(decision.backup);
		if (GUARDED.has(codeOf(error) ?? '')) {
			yield { decision, deleted: false, reason: `stays: ${messageOf(error)}` };
		} else {
			yield { decision, deleted: false, reason: `could not be deleted: ${messageOf(error)}`, error };
		}
	}
}

/** Somebody locked, pinned or replaced it after the plan was made, or the storage tells of its locks only when asked to delete: no failure. */
const GUARDED: ReadonlySet<string> = new Set(['LOCKED', 'OBJECT_LOCKED', 'PINNED', 'REPLACED']);

function reasonOf({ reasons }: Decision): string {
	return reasons.map(({ text }) => text).join('; ');
}

function assertSafe({ groups }: RetentionPlan, chains: Chains): void {
	const unsafe = (what: string) =>
		new LifeboatError('PLAN_UNSAFE', `The retention plan ${what}; nothing was deleted`, {
			hint: 'Make a new plan from a fresh list of the backups',
		});
	const kept = new Set<string>();
	for (const { decisions } of groups)
		for (const each of decisions) if (each.action === 'keep') kept.add(each.key);
	for (const { decisions, refused } of groups) {
		const doomed = decisions.filter(({ action }) => action === 'delete');
		if (doomed.length === 0) continue;
		if (refused) throw unsafe('deletes backups of a group for which it refuses to');
		if (doomed.length === decisions.length) throw unsafe('deletes all backups of a group');
		for (const { key, backup } of doomed) {
			if (kept.has(key)) throw unsafe(`both keeps and deletes ${key}`);
			const guarded = backup.pinned || backup.locked || backup.state === 'unreadable';
			if (guarded) throw unsafe(`deletes ${key}, which is pinned, locked or unreadable`);
			const dependent = chains.neededBy(backup).find((each) => kept.has(each.key));
			if (dependent) throw unsafe(`deletes ${key}, which ${dependent.key} needs`);
		}
	}
}

/** The deletions, the oldest first as far as the chains allow it. */
function dependentsFirst(decisions: readonly Decision[], chains: Chains): Decision[] {
	const doomed = decisions.filter(({ action }) => action === 'delete');
	doomed.sort((a, b) => Date.parse(a.backup.createdAt) - Date.parse(b.backup.createdAt));
	const byBackup = new Map(doomed.map((decision) => [decision.backup, decision]));
	const ordered: Decision[] = [];
	const seen = new Set<Decision>();
	for (const decision of doomed) {
		const stack = [{ decision, entered: false }];
		for (let top = stack.pop(); top !== undefined; top = stack.pop()) {
			if (top.entered) {
				ordered.push(top.decision);
				continue;
			}
			if (seen.has(top.decision)) continue;
			seen.add(top.decision);
			stack.push({ decision: top.decision, entered: true });
			for (const dependent of chains.neededBy(top.decision.backup)) {
				const also = byBackup.get(dependent);
				if (also && !seen.has(also)) stack.push({ decision: also, entered: false });
			}
		}
	}
	return ordered;
}
