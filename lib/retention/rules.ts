import type { RetentionBackup } from './backup';
import { durationInWords, parseDuration } from './duration';
import { Misses, type Miss } from './misses';
import type { Reason } from './plan-types';
import type { RetentionPolicy } from './policy';
import { DropReason, LastReason, PeriodReason, type PeriodRule } from './reasons';
import type { Period, ZoneCalendar } from './zone-calendar';

/** A backup in the course of planning. */
export interface Candidate {
	readonly backup: RetentionBackup;
	/** Milliseconds since 1970. */
	readonly at: number;
	/** What the zone's clocks showed. */
	readonly local: number;
}

/** What the rules say of one backup: why it stays, or, if none keeps it, why not. */
export interface Ruling {
	keep: readonly Reason[];
	/** Present if `keep` is empty. */
	drop?: Reason;
}

/** A rule at work on a list from the newest to the oldest. Answers with a reason to keep, or why it has none. */
type Rule = (candidate: Candidate) => Reason | Miss;

const COUNTED: ReadonlyArray<[keyof RetentionPolicy & `keep${string}`, string, Period]> = [
	['keepHourly', 'hourly', 'hour'],
	['keepDaily', 'daily', 'day'],
	['keepWeekly', 'weekly', 'week'],
	['keepMonthly', 'monthly', 'month'],
	['keepYearly', 'yearly', 'year'],
];

const WITHIN: ReadonlyArray<[keyof RetentionPolicy & `keepWithin${string}`, string, Period]> = [
	['keepWithinHourly', 'within hourly', 'hour'],
	['keepWithinDaily', 'within daily', 'day'],
	['keepWithinWeekly', 'within weekly', 'week'],
	['keepWithinMonthly', 'within monthly', 'month'],
	['keepWithinYearly', 'within yearly', 'year'],
];

/**
 * Applies a policy's rules as `restic forget` 0.14 does (its internal/restic/snapshot_policy.go): each rule walks from the newest
 * backup to the oldest, a period counts only if it has a backup, the newest of a period stays, and durations count from the
 * newest backup. From 0.16 on restic also keeps the oldest of all while a rule has room; here it has to be the newest of a period.
 *
 * @param candidates newest first.
 */
export function judge(
	candidates: readonly Candidate[],
	policy: RetentionPolicy,
	calendar: ZoneCalendar,
): Ruling[] {
	const newest = candidates[0];
	if (!newest) return [];
	const misses = new Misses();
	const rules = [
		...tagRules(policy, misses),
		...daysRules(policy, newest, calendar, misses),
		...withinRules(policy, newest, calendar, misses),
		...lastRules(policy, misses),
		...countingRules(policy, calendar, misses),
	];
	const dropTexts = new Map<number, string>();
	let previous: { day: number; missed: number; ruling: Ruling } | undefined;
	return candidates.map((candidate) => {
		let keep: Reason[] | undefined;
		let missed = 0;
		for (const rule of rules) {
			const answer = rule(candidate);
			if ('bit' in answer) missed += answer.bit;
			else keep = keep ? [...keep, answer] : [answer];
		}
		if (keep) return { keep };
		const day = calendar.bucket('day', candidate.local);
		if (previous?.day === day && previous.missed === missed) return previous.ruling;
		let text = dropTexts.get(missed);
		if (text === undefined) dropTexts.set(missed, (text = misses.inWords(missed)));
		const drop = new DropReason(calendar, candidate.local, text);
		previous = { day, missed, ruling: { keep: [], drop } };
		return previous.ruling;
	});
}

function tagRules(policy: RetentionPolicy, misses: Misses): Rule[] {
	if (!policy.keepTags?.length) return [];
	const wanted = policy.keepTags.map((list) => list.split(',').map((tag) => tag.trim()));
	const without = misses.make('other', 'bears none of the tags');
	return [
		({ backup: { tags = [] } }) => {
			const match = wanted.find((list) => list.every((tag) => tags.includes(tag)));
			return match
				? { rule: 'tag', text: `bears ${match.length > 1 ? 'the tags' : 'the tag'} ${match.join(' and ')}` }
				: without;
		},
	];
}

function daysRules(
	policy: RetentionPolicy,
	newest: Candidate,
	calendar: ZoneCalendar,
	misses: Misses,
): Rule[] {
	const days = policy.keepDays ?? 0;
	if (days === 0) return [];
	const start = calendar.startOfDay(newest.local, days);
	const words = `${days} ${days === 1 ? 'day' : 'days'}`;
	const reason = { rule: 'days', text: `not older than ${words}, counted from the newest backup` };
	const old = misses.make('old', words);
	return [({ local }) => (local >= start ? reason : old)];
}

function withinRules(
	policy: RetentionPolicy,
	newest: Candidate,
	calendar: ZoneCalendar,
	misses: Misses,
): Rule[] {
	const rules: Rule[] = [];
	if (policy.keepWithin !== undefined) {
		const duration = parseDuration(policy.keepWithin);
		const start = calendar.minus(newest.at, duration);
		const words = durationInWords(duration);
		const reason = { rule: 'within', text: `within ${words} of the newest backup` };
		const old = misses.make('old', words);
		rules.push(({ at }) => (at > start ? reason : old));
	}
	for (const [field, name, period] of WITHIN) {
		const value = policy[field];
		if (value === undefined) continue;
		const duration = parseDuration(value);
		const start = calendar.minus(newest.at, duration);
		const words = durationInWords(duration);
		const old = misses.make('old', words);
		const superseded = misses.make('superseded', period);
		const after = `, within ${words} of the newest backup`;
		const of: PeriodRule = { name, period, calendar, words: () => after };
		let last: number | undefined;
		rules.push(({ at, local }) => {
			if (at <= start) return old;
			const bucket = calendar.bucket(period, local);
			if (bucket === last) return superseded;
			last = bucket;
			return new PeriodReason(of, local, 0);
		});
	}
	return rules;
}

function lastRules(policy: RetentionPolicy, misses: Misses): Rule[] {
	const limit = policy.keepLast ?? 0;
	if (limit === 0) return [];
	const full = misses.make('full', `${limit} newest`);
	let used = 0;
	return [
		() => {
			if (used === limit) return full;
			used += 1;
			return new LastReason(used, limit);
		},
	];
}

function countingRules(policy: RetentionPolicy, calendar: ZoneCalendar, misses: Misses): Rule[] {
	return COUNTED.flatMap(([field, name, period]) => {
		const limit = (policy[field] as number | undefined) ?? 0;
		if (limit === 0) return [];
		const superseded = misses.make('superseded', period);
		const full = misses.make('full', `${limit} ${name}`);
		const ofLimit = limit > 0 ? ` of ${limit}` : '';
		const of: PeriodRule = { name, period, calendar, words: (used) => ` (${name} ${used}${ofLimit})` };
		let last: number | undefined;
		let used = 0;
		const rule: Rule = ({ local }) => {
			const bucket = calendar.bucket(period, local);
			if (bucket === last) return superseded;
			if (used === limit) return full;
			last = bucket;
			used += 1;
			return new PeriodReason(of, local, used);
		};
		return [rule];
	});
}
