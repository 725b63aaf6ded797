import type { RetentionBackup } from './backup';
import type { Chains } from './chains';
import type { PlanOptions, Reason } from './plan-types';
import { hasKeepRule, type RetentionPolicy } from './policy';
import { NotedReason } from './reasons';
import { judge, type Candidate, type Ruling } from './rules';
import type { ZoneCalendar } from './zone-calendar';

/** What policy and guards say of each backup of one group, before chains, the size cap and refusals. */
export interface Evaluation {
	/** Newest first; what has no readable time comes last. */
	order: RetentionBackup[];
	/** Why it stays. Empty: the rules let it go. */
	reasons: Map<RetentionBackup, readonly Reason[]>;
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
	const reasons = new Map<RetentionBackup, readonly Reason[]>();
	const protectedOnes = new Set<RetentionBackup>();
	const candidates: Candidate[] = backups.map((backup) => {
		const at = Date.parse(backup.createdAt);
		return { backup, at, local: Number.isNaN(at) ? NaN : calendar.local(at) };
	});
	candidates.sort(newestFirst);
	const counted: Candidate[] = [];
	for (const candidate of candidates) {
		const protections = protectionsOf(candidate, now, chains, options);
		reasons.set(candidate.backup, protections);
		if (protections.length > 0) protectedOnes.add(candidate.backup);
		if (!protections.some(({ rule }) => ASIDE.has(rule))) counted.push(candidate);
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
			if (keep.length > 0) {
				const noted = note ? keep.map((reason) => new NotedReason(reason, note)) : keep;
				const others = reasons.get(backup)!;
				reasons.set(backup, others.length > 0 ? [...others, ...noted] : noted);
			}
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

/** Those that are kept for these reasons take no part in the rules. */
const ASIDE: ReadonlySet<string> = new Set(['unreadable', 'future', 'misdated', 'orphan']);

const NONE: readonly Reason[] = [];

/** Why a backup stays whatever the rules say. */
function protectionsOf(
	{ backup, at }: Candidate,
	now: number,
	chains: Chains,
	{ checkClocks }: PlanOptions,
): readonly Reason[] {
	const aside = asideOf(backup, at, now, chains) ?? (checkClocks ? misdatedOf(backup) : undefined);
	if (!aside && !backup.pinned && !backup.locked) return NONE;
	return [
		...(aside ? [aside] : []),
		...(backup.pinned ? [{ rule: 'pinned', text: 'pinned' }] : []),
		...(backup.locked ? [{ rule: 'locked', text: 'the storage forbids its deletion for now' }] : []),
	];
}

function asideOf(backup: RetentionBackup, at: number, now: number, chains: Chains): Reason | undefined {
	if (backup.state === 'unreadable') {
		const text = `its manifest can't be read, so it stays: ${backup.problem ?? 'no reason known'}`;
		return { rule: 'unreadable', text };
	}
	if (Number.isNaN(at)) {
		const text = `its manifest has no valid time (${backup.createdAt || 'none'}), so it stays`;
		return { rule: 'unreadable', text };
	}
	if (at > now) {
		return {
			rule: 'future',
			text: `dated in the future (${backup.createdAt}), so it stays and doesn't count`,
		};
	}
	const problem = backup.state === 'complete' ? chains.problem(backup) : undefined;
	return problem === undefined
		? undefined
		: { rule: 'orphan', text: `can't be restored as it is, so it stays and doesn't count: ${problem}` };
}

function misdatedOf(backup: RetentionBackup): Reason | undefined {
	const { createdAt, storedBefore } = backup;
	if (storedBefore === undefined) return undefined;
	// Counted as the newest, it would push out all that are older than a policy's days.
	const text = `dated ${createdAt}, though stored before that, on ${storedBefore}: it stays and doesn't count`;
	return { rule: 'misdated', text };
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
			if (reasons.get(backup)!.length > 0) continue;
			reasons.set(backup, [
				{ rule: 'minimum', text: `one of the last ${floor} good backups, the least to keep` },
			]);
			drops.delete(backup);
			missing -= 1;
		}
	}
}
