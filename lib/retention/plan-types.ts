import type { RetentionBackup } from './backup';
import type { GroupBy } from './groups';

/** Why a backup stays or goes. Some make their texts only when asked: read the fields, a spread or JSON doesn't see them. */
export interface Reason {
	/** The rule or guard: `daily`, `last`, `within`, `minimum`, `pinned`, `future`, `unreadable`, `chain`, `none`, ... */
	readonly rule: string;
	/** The period it stands for: `2026-11-21`, `2026-W47`. */
	readonly bucket?: string | undefined;
	/** A fragment of a sentence for the operator: `newest of Saturday 21 November 2026 (daily 3 of 30)`. */
	readonly text: string;
}

export interface Decision {
	key: string;
	backup: RetentionBackup;
	action: 'keep' | 'delete';
	/** At least one. */
	reasons: readonly Reason[];
}

/** Why nothing of a group is deleted although rules would allow it. */
export interface Refusal {
	/** `BACKUPS_STOPPED`, `NO_GOOD_BACKUP`, `WOULD_DELETE_ALL`, `TOO_MANY_DELETIONS`, `AFTER_BREAK`. */
	code: string;
	message: string;
	hint: string;
}

export interface PlanGroup {
	/** Empty where not grouped by name, or unknown. */
	name: string;
	kind: string;
	/** Only where grouped by folder. */
	folder?: string;
	/** Newest first. */
	decisions: Decision[];
	/** What the operator should know besides: `2 incomplete: not counted`. */
	notices?: string[];
	refused?: Refusal;
}

export interface RetentionPlan {
	groups: PlanGroup[];
	totals: { kept: number; deleted: number; freedBytes: number; keptBytes: number };
	/** The backup that goes first of those that stay, if backups go on in the rhythm they had. */
	next?: { key: string; name: string; createdAt: string; at: string; text: string };
}

export interface PlanOptions {
	now: Date;
	/** Default: by job and kind. */
	groupBy?: readonly GroupBy[];
	/** Count only proven backups: others follow the same rules, but never take the place of a proven one. */
	countOnlyProven?: boolean;
	/** Refuse when more than this would be deleted in the whole run. */
	maxDeletions?: number;
	/** Refuse a group when more than this share of it, in percent, would be deleted. */
	maxDeletePercent?: number;
	/**
	 * Don't count a backup that is dated after the storage received it, and refuse to delete all from before a break at once: a clock
	 * that went wrong must not make backups look old.
	 */
	checkClocks?: boolean;
	/** Delete nothing of a group whose newest complete backup is older than this: `26h`, `2d`. */
	expectedEvery?: string;
}
