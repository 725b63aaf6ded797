import { bytesInWords } from '../retention/bytes';
import { median } from '../retention/rhythm';
import type { Finding, WatchedBackup, WatchRules } from './types';

/** Backups before the newest that make a size usual, and how many there must be. */
const SAMPLE = 10;
const LEAST = 3;

/** An alarm is over only when this much of the limit is kept, or else it would come and go around it. */
export const CALM = 0.8;

/**
 * How the newest backup's size differs from the usual one. Unknown with too few backups to tell.
 *
 * @param good complete backups, newest first.
 * @param limit percent.
 * @param isOpen whether there is an alarm of it already.
 */
export function sizeFinding(
	problem: 'sizeFell' | 'sizeJumped',
	label: string,
	good: readonly WatchedBackup[],
	limit: number,
	isOpen: boolean,
): Omit<Finding, 'job'> | 'unknown' | undefined {
	const [newest, ...before] = good;
	if (!newest || before.length < LEAST) return 'unknown';
	const usual = median(before.slice(0, SAMPLE).map(({ size }) => size))!;
	if (usual === 0) return 'unknown';
	const change = (newest.size / usual - 1) * 100;
	const off = problem === 'sizeFell' ? -change : change;
	if (off <= limit * (isOpen ? CALM : 1)) return undefined;
	const words = problem === 'sizeFell' ? 'smaller' : 'larger';
	return {
		problem,
		message: `The newest backup of ${label} has ${bytesInWords(newest.size)}: ${Math.round(off)}% ${words} than the ${bytesInWords(usual)} that are usual`,
		hint:
			problem === 'sizeFell'
				? 'Look whether its source has lost data, or whether the backup leaves something out. Restore it into a scratch place to be sure'
				: 'Look what has grown, and whether the destination has room for more of them',
		details: {
			...{ key: newest.key, size: newest.size, usualSize: usual, changePercent: Math.round(change) },
		},
	};
}

/** Whether the rule of a problem is set. */
export const sizeLimit = (problem: 'sizeFell' | 'sizeJumped', rules: WatchRules): number | undefined =>
	problem === 'sizeFell' ? rules.maxShrinkPercent : rules.maxGrowthPercent;
