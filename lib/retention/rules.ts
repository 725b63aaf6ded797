import type { RetentionBackup } from './backup';
import { durationInWords, parseDuration } from './duration';
import type { Reason } from './plan-types';
import type { RetentionPolicy } from './policy';
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
	keep: Reason[];
	/** Present if `keep` is empty. */
	drop?: Reason;
}

/** A rule at work on a list from the newest to the oldest. Answers with a reason to keep, or why it has none. */
type Rule = (candidate: Candidate) => Reason | Miss;

/** Why a rule doesn't keep a backup. */
interface Miss {
	why: 'superseded' | 'full' | 'old' | 'other';
	text: string;
}

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
	const rules = [
		...tagRules(policy),
		...daysRules(policy, newest, calendar),
		...withinRules(policy, newest, calendar),
		...lastRules(policy),
		...countingRules(policy, calendar),
	];
	const dropped = new Map<string, string>();
	return candidates.map((candidate) => {
		const keep: Reason[] = [];
		const misses: Miss[] = [];
		for (const rule of rules) {
			const answer = rule(candidate);
			if ('rule' in answer) keep.push(answer);
			else misses.push(answer);
		}
		if (keep.length > 0) return { keep };
		const signature = misses.map(({ why, text }) => `${why}${text}`).join();
		let text = dropped.get(signature);
		if (text === undefined) dropped.set(signature, (text = missesInWords(misses)));
		return { keep, drop: { rule: 'none', bucket: calendar.label('day', candidate.local), text } };
	});
}

function tagRules(policy: RetentionPolicy): Rule[] {
	if (!policy.keepTags?.length) return [];
	const wanted = policy.keepTags.map((list) => list.split(',').map((tag) => tag.trim()));
	return [
		({ backup: { tags = [] } }) => {
			const match = wanted.find((list) => list.every((tag) => tags.includes(tag)));
			return match
				? { rule: 'tag', text: `bears ${match.length > 1 ? 'the tags' : 'the tag'} ${match.join(' and ')}` }
				: { why: 'other', text: 'bears none of the tags' };
		},
	];
}

function daysRules(policy: RetentionPolicy, newest: Candidate, calendar: ZoneCalendar): Rule[] {
	const days = policy.keepDays ?? 0;
	if (days === 0) return [];
	const start = calendar.startOfDay(newest.local, days);
	const text = `not older than ${days} ${days === 1 ? 'day' : 'days'}, counted from the newest backup`;
	return [
		({ local }) =>
			local >= start
				? { rule: 'days', text }
				: { why: 'old', text: `${days} ${days === 1 ? 'day' : 'days'}` },
	];
}

function withinRules(policy: RetentionPolicy, newest: Candidate, calendar: ZoneCalendar): Rule[] {
	const rules: Rule[] = [];
	if (policy.keepWithin !== undefined) {
		const duration = parseDuration(policy.keepWithin);
		const start = calendar.minus(newest.at, duration);
		const words = durationInWords(duration);
		const text = `within ${words} of the newest backup`;
		rules.push(({ at }) => (at > start ? { rule: 'within', text } : { why: 'old', text: words }));
	}
	for (const [field, name, period] of WITHIN) {
		const value = policy[field];
		if (value === undefined) continue;
		const duration = parseDuration(value);
		const start = calendar.minus(newest.at, duration);
		const words = durationInWords(duration);
		let last: number | undefined;
		rules.push(({ at, local }) => {
			if (at <= start) return { why: 'old', text: words };
			const bucket = calendar.bucket(period, local);
			if (bucket === last) return { why: 'superseded', text: period };
			last = bucket;
			return {
				rule: name,
				bucket: calendar.label(period, local),
				text: `newest of ${calendar.inWords(period, local)}, within ${words} of the newest backup`,
			};
		});
	}
	return rules;
}

function lastRules(policy: RetentionPolicy): Rule[] {
	const limit = policy.keepLast ?? 0;
	if (limit === 0) return [];
	let used = 0;
	return [
		() => {
			if (used === limit) return { why: 'full', text: `${limit} newest` };
			used += 1;
			return { rule: 'last', text: `number ${used} of the newest${limit > 0 ? ` ${limit}` : ''}` };
		},
	];
}

function countingRules(policy: RetentionPolicy, calendar: ZoneCalendar): Rule[] {
	return COUNTED.flatMap(([field, name, period]) => {
		const limit = (policy[field] as number | undefined) ?? 0;
		if (limit === 0) return [];
		let last: number | undefined;
		let used = 0;
		const rule: Rule = ({ local }) => {
			const bucket = calendar.bucket(period, local);
			if (bucket === last) return { why: 'superseded', text: period };
			if (used === limit) return { why: 'full', text: `${limit} ${name}` };
			last = bucket;
			used += 1;
			return {
				rule: name,
				bucket: calendar.label(period, local),
				text: `newest of ${calendar.inWords(period, local)} (${name} ${used}${limit > 0 ? ` of ${limit}` : ''})`,
			};
		};
		return [rule];
	});
}

function missesInWords(misses: Miss[]): string {
	const of = (why: Miss['why']) => [
		...new Set(misses.filter((miss) => miss.why === why).map(({ text }) => text)),
	];
	const and = new Intl.ListFormat('en-GB');
	const [superseded, full, old] = [of('superseded'), of('full'), of('old')];
	return [
		...(superseded.length > 0 ? [`a newer backup stands for its ${and.format(superseded)}`] : []),
		...(full.length > 0 ? [`older than the ${and.format(full)}`] : []),
		...(old.length > 0 ? [`not within ${and.format(old)} of the newest backup`] : []),
		...of('other'),
	].join('; ');
}
