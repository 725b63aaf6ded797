import { median } from './rhythm';

/** How the sizes of a job's backups go. */
export interface SizeTrend {
	/** Bytes: the size in the middle of those looked at. */
	median: number;
	/** Bytes that they grow in 30 days; negative when they shrink. */
	perMonth: number;
	/** How many backups it rests on. */
	backups: number;
}

/** How many of the newest backups a trend rests on: their pairs, 435 of them, are what it costs. */
const SAMPLE = 30;

const MONTH = 30 * 86_400_000;

/**
 * The Theil-Sen slope of sizes over time (the median of the slopes between each two): one broken backup, or one that a holiday made
 * small, does not bend it as it bends a least-squares line. Undefined for fewer than three.
 *
 * @param points bytes, and milliseconds since 1970; newest first.
 */
export function sizeTrend(points: ReadonlyArray<{ at: number; size: number }>): SizeTrend | undefined {
	const recent = points.slice(0, SAMPLE);
	const slopes = recent.flatMap((later, index) =>
		recent
			.slice(index + 1)
			.filter(({ at }) => at < later.at)
			.map(({ at, size }) => (later.size - size) / (later.at - at)),
	);
	const slope = median(slopes);
	const middle = median(recent.map(({ size }) => size));
	if (recent.length < 3 || slope === undefined || middle === undefined) return undefined;
	return { median: middle, perMonth: Math.round(slope * MONTH), backups: recent.length };
}
