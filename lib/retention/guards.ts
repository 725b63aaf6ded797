import { DateTime } from 'luxon';

import { durationInWords, parseDuration } from './duration';
import type { Evaluation } from './evaluate-group';
import type { PlanOptions, Refusal } from './plan-types';
import type { ZoneCalendar } from './zone-calendar';

/**
 * Whether nothing of a group may be deleted, and why.
 *
 * @param label how to call the group in a message: `shop (database)`.
 * @param deletions how many of it would go.
 * @param keptGood how many good ones would stay.
 */
export function refusalOf(
	label: string,
	{ order, complete, good }: Evaluation,
	deletions: number,
	keptGood: number,
	options: PlanOptions,
	calendar: ZoneCalendar,
	zone: string,
): Refusal | undefined {
	if (options.expectedEvery !== undefined) {
		const allowed = parseDuration(options.expectedEvery);
		const newest = complete[0] && Date.parse(complete[0].createdAt);
		if (newest === undefined || newest < calendar.minus(options.now.getTime(), allowed)) {
			const since =
				newest === undefined
					? 'there is no complete one'
					: `the newest complete one is of ${DateTime.fromMillis(newest, { zone, locale: 'en' }).toFormat('d LLLL yyyy, HH:mm')}`;
			return {
				code: 'BACKUPS_STOPPED',
				message: `Your backups of ${label} have stopped: ${since}, and one is expected every ${durationInWords(allowed)}; nothing was deleted`,
				hint: 'Find out why no new backup arrives. Retention goes on once there is one',
			};
		}
	}
	if (deletions === 0) return undefined;
	if (good.length === 0) {
		return {
			code: 'NO_GOOD_BACKUP',
			message: `None of the backups of ${label} is ${options.countOnlyProven && complete.length > 0 ? 'proven' : 'complete'}; nothing was deleted`,
			hint: 'Make a good backup, and verify it, before older ones are deleted',
		};
	}
	if (keptGood === 0) {
		return {
			code: 'WOULD_DELETE_ALL',
			message: `The policy would delete every good backup of ${label}; nothing was deleted`,
			hint: 'Add a rule that keeps some, such as Keep Last, or raise Keep Minimum',
		};
	}
	const percent = (deletions / order.length) * 100;
	if (options.maxDeletePercent !== undefined && percent > options.maxDeletePercent) {
		return {
			code: 'TOO_MANY_DELETIONS',
			message: `The policy would delete ${deletions} of the ${order.length} backups of ${label} (${Math.round(percent)}%), more than the ${options.maxDeletePercent}% allowed; nothing was deleted`,
			hint: 'Look at the plan. If it is what you want, raise the limit for one run',
		};
	}
	return undefined;
}

/** The refusal of a run that would delete more than its limit in all. */
export function runRefusal(deletions: number, limit: number): Refusal {
	return {
		code: 'TOO_MANY_DELETIONS',
		message: `This run would delete ${deletions} backups, more than the ${limit} allowed; nothing was deleted`,
		hint: 'Look at the plan. If it is what you want, raise the limit for one run',
	};
}
