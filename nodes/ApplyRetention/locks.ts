import type { RetentionBackup } from '../../lib/retention/backup';
import { planRetention, type PlanOptions, type RetentionPlan } from '../../lib/retention/plan';
import type { RetentionPolicy } from '../../lib/retention/policy';
import type { Storage } from '../../lib/storage/storage';

/** Objects asked for at once. */
const AT_ONCE = 8;

/**
 * The plan, with the storage's locks in it: only what is to go is asked for, since each costs a request. What turns out to be locked
 * stays; where another one then goes in its place (under a size cap), that one is asked for, too.
 */
export async function planKnowingLocks(
	storage: Storage,
	backups: readonly RetentionBackup[],
	policy: RetentionPolicy,
	options: PlanOptions,
	signal: AbortSignal,
): Promise<RetentionPlan> {
	const asked = new Set<RetentionBackup>();
	for (;;) {
		const plan = planRetention(backups, policy, options);
		if (!storage.lock) return plan;
		const doomed = plan.groups
			.flatMap(({ decisions }) => decisions)
			.filter(({ action, backup }) => action === 'delete' && !asked.has(backup))
			.map(({ backup }) => backup);
		let found = false;
		for (let start = 0; start < doomed.length; start += AT_ONCE) {
			await Promise.all(
				doomed.slice(start, start + AT_ONCE).map(async (backup) => {
					asked.add(backup);
					if (!(await storage.lock?.(backup.key, signal))) return;
					backup.locked = true;
					found = true;
				}),
			);
		}
		if (!found) return plan;
	}
}
