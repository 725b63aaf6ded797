import { DateTime } from 'luxon';

import { labelOf } from '../retention/describe-group';
import { durationInWords, parseDuration } from '../retention/duration';
import { distanceInWords } from '../retention/rhythm';
import type { ZoneCalendar } from '../retention/zone-calendar';
import { missedTimes, MOST_MISSED } from './schedule';
import { sizeFinding, sizeLimit } from './sizes';
import type { Finding, KnownJob, Problem, WatchedBackup, WatchRules } from './types';

/** The result of one check: nothing wrong, what is, or that there is too little to tell. */
export interface Check {
	problem: Problem;
	finding: Omit<Finding, 'job'> | 'unknown' | undefined;
}

/**
 * All checks of one job whose rules are set.
 *
 * @param good its complete backups that can be restored and aren't of the future, newest first.
 * @param isOpen whether there is an alarm of a problem already.
 */
export function checkJob(
	job: KnownJob,
	good: readonly WatchedBackup[],
	rules: WatchRules,
	now: number,
	calendar: ZoneCalendar,
	isOpen: (problem: Problem) => boolean,
): Check[] {
	const label = labelOf(job);
	const newest = good[0] && Date.parse(good[0].createdAt);
	const inWords = (at: number) =>
		DateTime.fromMillis(at, { zone: rules.zone, locale: 'en' }).toFormat('d LLLL yyyy, HH:mm');
	const checks: Check[] = [];
	const known: Record<string, string | number> =
		newest === undefined
			? {}
			: {
					key: good[0]!.key,
					newestAt: good[0]!.createdAt,
					ageHours: Math.round((now - newest) / 360_000) / 10,
				};
	const hint = 'Look at the executions of the workflow that makes it: whether it still runs, and what fails';

	if (rules.maxAge !== undefined) {
		const allowed = parseDuration(rules.maxAge);
		const isTooOld = newest === undefined || newest < calendar.minus(now, allowed);
		const message =
			newest === undefined
				? `There is no good backup of ${label}`
				: `The newest good backup of ${label} is ${distanceInWords(now - newest)} old (${inWords(newest)}); at most ${durationInWords(allowed)} are allowed`;
		checks.push({
			problem: 'tooOld',
			finding: isTooOld ? { problem: 'tooOld', message, hint, details: known } : undefined,
		});
	}

	if (rules.schedule) {
		const grace = parseDuration(rules.schedule.grace);
		const missed = missedTimes(rules.schedule, grace, newest, now, rules.zone);
		const since =
			newest === undefined ? 'there is no good one' : `the newest good one is of ${inWords(newest)}`;
		const count = missed && (missed.count >= MOST_MISSED ? `${MOST_MISSED} or more` : missed.count);
		checks.push({
			problem: 'missing',
			finding: missed && {
				problem: 'missing',
				message: `The backup of ${label} of ${inWords(missed.at)} is missing: ${since}${missed.count > 1 ? `, ${count} are missing by now` : ''}`,
				hint,
				details: { ...known, scheduledAt: new Date(missed.at).toISOString(), missed: missed.count },
			},
		});
	}

	for (const problem of ['sizeFell', 'sizeJumped'] as const) {
		const limit = sizeLimit(problem, rules);
		if (limit === undefined) continue;
		checks.push({ problem, finding: sizeFinding(problem, label, good, limit, isOpen(problem)) });
	}

	if (rules.testEvery !== undefined) {
		const allowed = parseDuration(rules.testEvery);
		const { lastTest, firstSeen } = job;
		const oldest = good.at(-1)?.createdAt ?? firstSeen;
		const reference = Date.parse(lastTest?.at ?? (oldest < firstSeen ? oldest : firstSeen));
		const isOverdue = reference < calendar.minus(now, allowed);
		const details: Finding['details'] = lastTest ? { testedAt: lastTest.at, key: lastTest.key } : {};
		checks.push(
			{
				problem: 'testOverdue',
				finding: isOverdue
					? {
							problem: 'testOverdue',
							message: `The restore of ${label} ${lastTest ? `was last tested on ${inWords(reference)}` : 'has never been tested'}; a test is due every ${durationInWords(allowed)}`,
							hint: 'Look at the workflow that tests the restore (Verify Checksum, operation Test Restore): whether it still runs',
							details,
						}
					: undefined,
			},
			{
				problem: 'testFailed',
				finding:
					lastTest?.passed === false
						? {
								problem: 'testFailed',
								message: `The last restore test of ${label} failed (${inWords(reference)}, ${lastTest.key})`,
								hint: 'The file with the ending .proof.json beside the backup says which check failed. Make a new backup and test it',
								details,
							}
						: undefined,
			},
		);
	}
	return checks;
}
