/** How many of the newest backups show the rhythm, and the usual size. */
export const SAMPLE = 11;

/** The middle one of some numbers (the upper one of two); undefined for none. */
export function median(numbers: readonly number[]): number | undefined {
	return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)];
}

/**
 * Median distance of backups in milliseconds. Undefined for fewer than two, or where they are all of one moment.
 *
 * @param times when they were made, in milliseconds since 1970, newest first.
 */
export function usualInterval(times: readonly number[]): number | undefined {
	const distance = median(times.slice(1).map((time, index) => times[index]! - time));
	return distance !== undefined && distance > 0 ? distance : undefined;
}

/** A distance of time as people say it: `6 hours`, `3 days`. Takes milliseconds. */
export function distanceInWords(milliseconds: number): string {
	const hours = milliseconds / 3_600_000;
	if (hours >= 36) return `${Math.round(hours / 24)} days`;
	if (hours >= 1.5) return `${Math.round(hours)} hours`;
	if (hours > 0.99) return 'hour';
	return `${Math.max(1, Math.round(hours * 60))} minutes`;
}
