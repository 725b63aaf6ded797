import type { RetentionBackup } from '../retention/backup';
import type { Schedule } from './schedule';

/** What a watch may find wrong. */
export type Problem =
	/** The destination can't be read. Everything else is then unknown. */
	| 'unreachable'
	/** The newest good backup is older than allowed, or there is none; without a job: there is nothing to watch at all. */
	| 'tooOld'
	/** There is none of a time at which one is scheduled. */
	| 'missing'
	/** The newest one is much smaller, or larger, than those before it. */
	| 'sizeFell'
	| 'sizeJumped'
	/** The last restore test is older than allowed, or failed. */
	| 'testOverdue'
	| 'testFailed'
	/** Free space or quota runs low. */
	| 'spaceLow';

/** What is to be watched. A rule that isn't given is not watched. Durations as in policies: `26h`, `7d`. */
export interface WatchRules {
	/** IANA name of the zone of schedules and of the calendar's days. */
	zone: string;
	/** Names of the jobs; each must have backups. Every job that has backups unless given. */
	jobs?: readonly string[];
	/** How old the newest good backup may be. */
	maxAge?: string;
	/** When backups are made. */
	schedule?: Schedule;
	/** By how many percent a backup may be smaller, or larger, than the median of those before it. */
	maxShrinkPercent?: number;
	maxGrowthPercent?: number;
	/** How old the last restore test may be. */
	testEvery?: string;
	/** Bytes, or percent, that must be free. */
	minFreeBytes?: number;
	minFreePercent?: number;
	/** Bytes that the backups may take in all, where the storage doesn't tell how much is free. */
	quotaBytes?: number;
}

export interface WatchedBackup extends RetentionBackup {
	/** The restore test of it, if there was one. */
	tested?: { at: string; passed: boolean };
}

export interface Space {
	freeBytes: number;
	/** Where known. */
	totalBytes?: number;
}

/** What was seen of the destination at one moment. */
export type Observation =
	| { reachable: true; backups: readonly WatchedBackup[]; space?: Space }
	| { reachable: false; message: string; hint?: string };

/** Something that is wrong now. */
export interface Finding {
	problem: Problem;
	/** The job; absent for what concerns the whole destination. */
	job?: { name: string; kind: string };
	/** What is wrong, for the operator. */
	message: string;
	/** What to do next. */
	hint: string;
	/** Figures behind the message. */
	details: Record<string, string | number>;
}

/** To be told once: that something has gone wrong, or that it is well again. */
export interface WatchEvent extends Finding {
	event: 'alarm' | 'resolved';
	/** ISO 8601: when the watch first saw it. */
	since: string;
	/** ISO 8601: now. */
	at: string;
	/** How many alarms are open after this poll. */
	open: number;
}

/** What a watch remembers of a job, since retention may delete the backups that it rests on. */
export interface KnownJob {
	name: string;
	kind: string;
	firstSeen: string;
	lastTest?: { at: string; passed: boolean; key: string };
}

/** What a watch remembers from one poll to the next. JSON, and small. */
export interface WatchState {
	version: 1;
	/** By problem and job. */
	alarms: Record<string, Pick<Finding, 'problem' | 'job' | 'message'> & { since: string }>;
	jobs: Record<string, KnownJob>;
}
