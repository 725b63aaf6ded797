import { DateTime } from 'luxon';

import type { RetentionBackup } from './backup';
import type { Refusal } from './plan-types';
import type { RetentionPolicy } from './policy';
import { distanceInWords, SAMPLE, usualInterval } from './rhythm';

const DAY = 86_400_000;

/** Fewer backups than this, after a break and before it, show no rhythm. */
const FEW = 3;

/** A break is so many times as long as backups usually lie apart, and longer than a day. */
const UNUSUAL = 3;

/**
 * Refuses a plan by which days would take away all backups from before a break, as long as there are fewer than three since: where storage
 * and n8n share a clock, one that has jumped ahead looks just like that, and a real break ends it by itself.
 *
 * @param label how to call the group in a message.
 * @param complete those that count, newest first.
 * @param goes whether one of them is to be deleted.
 */
export function breakRefusal(
	label: string,
	complete: readonly RetentionBackup[],
	policy: RetentionPolicy,
	goes: (backup: RetentionBackup) => boolean,
): Refusal | undefined {
	if (!countsDays(policy)) return undefined;
	const times = complete.map(({ createdAt }) => Date.parse(createdAt));
	for (let since = 1; since < FEW && times.length - since >= FEW; since += 1) {
		const usual = usualInterval(times.slice(since, since + SAMPLE)) ?? 0;
		const length = times[since - 1]! - times[since]!;
		if (length <= Math.max(DAY, UNUSUAL * usual)) continue;
		const before = complete.slice(since);
		if (!before.every(goes)) continue;
		const [first, last] = [times[since - 1]!, times[since]!].map((time) =>
			DateTime.fromMillis(time, { zone: policy.zone, locale: 'en' }).toFormat('d LLLL yyyy'),
		);
		return {
			code: 'AFTER_BREAK',
			message: `The policy would delete all ${before.length} backups of ${label} from before a break of ${distanceInWords(length)} (${last} to ${first}), with only ${since} made since; nothing was deleted`,
			hint: `Check the clock of the machine that makes them: was it really ${first}? If so, retention goes on by itself once there are ${FEW} backups since, or at once with the option Check Clocks off. If not, set the clock right, and delete what is dated wrong`,
		};
	}
	return undefined;
}

/** Whether any rule goes by days since the newest backup, and not by numbers of backups alone. */
function countsDays(policy: RetentionPolicy): boolean {
	return Object.entries(policy).some(([name, value]) => /^keep(?:Days|Within)/.test(name) && Boolean(value));
}
