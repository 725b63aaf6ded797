import { setImmediate } from 'node:timers/promises';

import { DateTime } from 'luxon';

import { LifeboatError } from '../errors';
import type { RetentionBackup } from './backup';
import { bytesInWords } from './bytes';
import { decide } from './decide';
import { durationInWords, parseDuration } from './duration';
import type { PlanGroup, Reason } from './plan-types';
import { parsePolicy, type RetentionPolicy } from './policy';
import { ZoneCalendar, type Period } from './zone-calendar';

export interface SimulationOptions {
	/** When the first backup is made. */
	start: Date;
	/** The time from one backup to the next: `6h`, `1d`. By the calendar, so that a daily one keeps its hour. */
	every: string;
	/** How long it goes on: `1y`. */
	duration: string;
	/** Bytes of the first backup. */
	size: number;
	/** How much larger they are after 30 days, in percent. Default: 0. */
	growthPerMonth?: number;
}

/** What lies there at a moment. */
export interface SimulationPoint {
	/** ISO 8601. */
	at: string;
	backups: number;
	bytes: number;
}

export interface Simulation {
	/** What lies there in the end, newest first, with all that was deleted on the way. */
	group: PlanGroup;
	end: SimulationPoint;
	/** The most that ever lay there, just before retention ran. */
	peak: SimulationPoint;
	/** The end of each month. */
	months: SimulationPoint[];
	/** How many backups each rule keeps in the end; several may keep the same one. */
	rules: Record<string, number>;
	/** The result as people say it. */
	text: string;
}

/** Backups that a simulation may make: ten years of hourly ones. */
export const MOST_SIMULATED = 88_000;

/** So many backups are simulated in one go. */
const BREATH = 200;

const MONTH = 30 * 86_400_000;

/**
 * Plays a policy through: a backup as often as given, retention after the last one of each day, nothing else.
 *
 * @throws LifeboatError `POLICY_INVALID`, `POLICY_EMPTY`, `INVALID_DURATION`; `INVALID_OPTION` for more than `MOST_SIMULATED` backups;
 * the signal's reason when it aborts.
 */
export async function simulate(
	policy: RetentionPolicy,
	options: SimulationOptions,
	signal?: AbortSignal,
): Promise<Simulation> {
	const checked = parsePolicy(policy);
	const [every, length] = [parseDuration(options.every), parseDuration(options.duration)];
	const calendar = new ZoneCalendar(checked.zone);
	const start = DateTime.fromJSDate(options.start, { zone: checked.zone });
	const end = start.plus(length);
	const gone: RetentionBackup[] = [];
	const dropped = new Map<RetentionBackup, readonly Reason[]>();
	let kept: RetentionBackup[] = [];
	let bytes = 0;
	let peak: SimulationPoint | undefined;
	const months: SimulationPoint[] = [];
	let groups: PlanGroup[] = [];

	const pointAt = (at: DateTime): SimulationPoint => ({
		at: at.toUTC().toISO()!,
		backups: kept.length,
		bytes,
	});
	const retain = (now: Date) => {
		groups = decide(kept, checked, { now, groupBy: [] }, calendar);
		kept = [];
		bytes = 0;
		for (const { backup, action, reasons } of groups[0]?.decisions ?? []) {
			if (action === 'keep') {
				kept.push(backup);
				bytes += backup.size;
			} else {
				gone.push(backup);
				dropped.set(backup, reasons);
			}
		}
	};

	let at = start;
	for (let number = 0; at < end; number += 1) {
		if (number === MOST_SIMULATED) throw tooMany(options);
		const backup = made(number, at, options);
		kept.push(backup);
		bytes += backup.size;
		if (!peak || bytes > peak.bytes) peak = pointAt(at);
		const next = start.plus(scale(every, number + 1));
		const isLastOf = (period: Period) =>
			next >= end ||
			calendar.bucket(period, calendar.local(at.toMillis())) !==
				calendar.bucket(period, calendar.local(next.toMillis()));
		if (isLastOf('day')) retain(at.toJSDate());
		// Others want the thread, too.
		if (number % BREATH === BREATH - 1) await setImmediate(undefined, signal && { signal });
		if (isLastOf('month')) months.push(pointAt(at));
		at = next;
	}

	const [last] = groups;
	const decisions = last!.decisions.filter(({ action }) => action === 'keep');
	const rules: Record<string, number> = {};
	for (const { reasons } of decisions) {
		for (const { rule } of reasons) rules[rule] = (rules[rule] ?? 0) + 1;
	}
	const deleted = gone
		.reverse()
		.map((backup) => ({ key: backup.key, backup, action: 'delete' as const, reasons: dropped.get(backup)! }));
	const final = months.at(-1)!;
	const oldest = decisions.at(-1)!.backup.createdAt.slice(0, 10);
	const text =
		`With one backup every ${durationInWords(every)}, after ${durationInWords(length)} there are ${final.backups} backups of ` +
		`${bytesInWords(final.bytes)} in all, the oldest of ${oldest}; at most there were ${bytesInWords(peak!.bytes)}`;
	return {
		group: { name: 'simulation', kind: '', decisions: [...decisions, ...deleted] },
		...{ end: final, peak: peak!, months, rules, text },
	};
}

function made(number: number, at: DateTime, options: SimulationOptions): RetentionBackup {
	const months = (at.toMillis() - options.start.getTime()) / MONTH;
	const id = `simulated ${number + 1}`;
	return {
		...{ key: id, id, name: 'simulation', kind: '', state: 'complete' },
		createdAt: at.toUTC().toISO()!,
		size: Math.round(options.size * (1 + (options.growthPerMonth ?? 0) / 100) ** months),
	};
}

/** So many times a duration. */
function scale(duration: ReturnType<typeof parseDuration>, times: number) {
	const { years, months, days, hours } = duration;
	return { years: years * times, months: months * times, days: days * times, hours: hours * times };
}

function tooMany({ every, duration }: SimulationOptions): LifeboatError {
	return new LifeboatError(
		'INVALID_OPTION',
		`One backup every ${every} for ${duration} makes more than ${MOST_SIMULATED.toLocaleString('en')} backups`,
		{ hint: 'Simulate a shorter time, or fewer backups' },
	);
}
