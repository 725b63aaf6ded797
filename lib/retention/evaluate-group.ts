import type { RetentionBackup } from './backup';
import type { Chains } from './chains';
import type { PlanOptions, Reason } from './plan-types';
import { hasKeepRule, type RetentionPolicy } from './policy';
import { judge, type Candidate, type Ruling } from './rules';
import type { ZoneCalendar } from './zone-calendar';

/** What policy and guards say of each backup of one group, before chains, the size cap and refusals. */
export interface Evaluation {
	/** Newest first; what has no readable time comes last. */
	order: RetentionBackup[];
	/** Why it stays. Empty: the rules let it go. */
	reasons: Map<RetentionBackup, Reason[]>;
	/** Why the rules don't keep it. */
	drops: Map<RetentionBackup, Reason>;
	/** Complete, restorable, not of the future: newest first. */
	complete: RetentionBackup[];
	/** Those of `complete` that count: all of them, or the proven ones. */
	good: RetentionBackup[];
	/** Kept whatever the rules say, and not to be chosen by the size cap. */
	protectedOnes: Set<RetentionBackup>;
}

export function evaluateGroup(
	backups: readonly RetentionBackup[],
	policy: RetentionPolicy,
	options: PlanOptions,
	calendar: ZoneCalendar,
	chains: Chains,
): Evaluation {
	const now = options.now.getTime();
	const reasons = new Map<RetentionBackup, Reason[]>();
	const protectedOnes = new Set<RetentionBackup>();
	const candidates: Candidate[] = backups.map((backup) => {
		const at = Date.parse(backup.createdAt);
		return { backup, at, local: Number.isNaN(at) ? NaN : calendar.local(at) };
	});
	candidates.sort(newestFirst);
	const counted: Candidate[] = [];
	for (const candidate of candidates) {
		const protections = protectionsOf(candidate, now, chains);
		reasons.set(candidate.backup, protections.reasons);
		if (protections.reasons.length > 0) protectedOnes.add(candidate.backup);
		if (protections.counts) counted.push(candidate);
	}

	const complete = counted.filter(({ backup }) => backup.state === 'complete');
	const good = options.countOnlyProven ? complete.filter(({ backup }) => backup.proven) : complete;
	const drops = new Map<RetentionBackup, Reason>();
	const judged = new Set<RetentionBackup>();
	// Each round sees the earlier ones' backups too but rules only on its own: so an unproven backup never takes the place of a
	// proven one, nor an incomplete one that of a complete one, and yet each stays where the rules would keep it.
	const rounds = [
		{ members: good, note: '' },
		{ members: complete, note: ', not proven: beside those that count' },
		{ members: counted, note: ', incomplete: beside those that count' },
	];
	for (const { members, note } of rounds) {
		if (members.length === judged.size) continue;
		const rulings = judgeOrKeepAll(members, policy, calendar);
		members.forEach(({ backup }, index) => {
			if (judged.has(backup)) return;
			judged.add(backup);
			const { keep, drop } = rulings[index]!;
			reasons
				.get(backup)!
				.push(...keep.map((reason) => (note ? { ...reason, text: reason.text + note } : reason)));
			if (drop) drops.set(backup, drop);
		});
	}
	const evaluation = {
		order: candidates.map(({ backup }) => backup),
		complete: complete.map(({ backup }) => backup),
		good: good.map(({ backup }) => backup),
		...{ reasons, drops, protectedOnes },
	};
	keepFloor(evaluation, policy.keepMinimum ?? 0);
	return evaluation;
}

function newestFirst(a: Candidate, b: Candidate): number {
	if (a.at !== b.at) return Number.isNaN(a.at) ? 1 : Number.isNaN(b.at) ? -1 : b.at - a.at;
	return a.backup.key < b.backup.key ? 1 : -1;
}

/** Why a backup stays whatever the rules say, and whether it takes part in them. */
function protectionsOf(
	{ backup, at }: Candidate,
	now: number,
	chains: Chains,
): { reasons: Reason[]; counts: boolean } {
	const reasons: Reason[] = [];
	let counts = true;
	const keepAside = (rule: string, text: string) => {
		reasons.push({ rule, text });
		counts = false;
	};
	if (backup.state === 'unreadable') {
		keepAside(
			'unreadable',
			`its manifest can't be read, so it stays: ${backup.problem ?? 'no reason known'}`,
		);
	} else if (Number.isNaN(at)) {
		keepAside('unreadable', `its manifest has no valid time (${backup.createdAt || 'none'}), so it stays`);
	} else if (at > now) {
		keepAside('future', `dated in the future (${backup.createdAt}), so it stays and doesn't count`);
	} else if (backup.state === 'complete') {
		const problem = chains.problem(backup);
		if (problem) keepAside('orphan', `can't be restored as it is, so it stays and doesn't count: ${problem}`);
	}
	if (backup.pinned) reasons.push({ rule: 'pinned', text: 'pinned' });
	if (backup.locked) reasons.push({ rule: 'locked', text: 'the storage forbids its deletion for now' });
	return { reasons, counts };
}

function judgeOrKeepAll(
	members: readonly Candidate[],
	policy: RetentionPolicy,
	calendar: ZoneCalendar,
): Ruling[] {
	if (hasKeepRule(policy)) return judge(members, policy, calendar);
	const keep = [{ rule: 'within-cap', text: 'fits the size cap, the only rule' }];
	return members.map(() => ({ keep }));
}

/** The newest good ones stay until there are enough; likewise the complete ones, where only proven ones count as good. */
function keepFloor({ good, complete, reasons, drops }: Evaluation, floor: number): void {
	for (const members of new Set([good, complete])) {
		let missing = floor - members.filter((backup) => reasons.get(backup)!.length > 0).length;
		for (const backup of members) {
			if (missing <= 0) break;
			const why = reasons.get(backup)!;
			if (why.length > 0) continue;
			why.push({ rule: 'minimum', text: `one of the last ${floor} good backups, the least to keep` });
			drops.delete(backup);
			missing -= 1;
		}
	}
}
