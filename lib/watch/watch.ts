import { Chains } from '../retention/chains';
import { labelOf } from '../retention/describe-group';
import { parseDuration } from '../retention/duration';
import { groupsOf } from '../retention/groups';
import { ZoneCalendar } from '../retention/zone-calendar';
import { checkJob, type Check } from './job';
import { assertSchedule } from './schedule';
import { spaceFinding, spacesOf } from './space';
import type { Finding, KnownJob, Observation, Problem, WatchEvent, WatchRules, WatchState } from './types';
import type { WatchedBackup } from './types';

/** What a watch remembers before its first poll. */
export const NOTHING_SEEN: WatchState = { version: 1, alarms: {}, jobs: {} };

/** How many problems there are now, with the state that follows. */
export interface WatchResult {
	/** To be told: alarms first, then what is well again. */
	events: WatchEvent[];
	/** Everything that is wrong now, told or not. */
	findings: Finding[];
	state: WatchState;
}

/**
 * One step of a watch: compares what is seen now with what was wrong before. Each problem of each job is told once when it begins and
 * once when it is over. While the destination can't be reached nothing is known of the jobs: their alarms stay as they are.
 * So does one of which there is too little to tell now.
 * An alarm whose rule or job is no longer watched is dropped without a word.
 *
 * @throws LifeboatError `INVALID_DURATION` or `INVALID_SCHEDULE`.
 */
export function watch(
	before: WatchState,
	observation: Observation,
	rules: WatchRules,
	now: Date,
): WatchResult {
	assertRules(rules);
	const at = now.toISOString();
	const checks = new Map<string, Finding | 'unknown' | undefined>();
	const note = (problem: Problem, job: Finding['job'], finding: Check['finding']) => {
		const isFinding = typeof finding === 'object';
		checks.set(idOf(problem, job), isFinding ? { ...finding, ...(job && { job }) } : finding);
	};

	note('unreachable', undefined, unreachable(observation));
	const jobs = observation.reachable ? knownJobs(before, observation.backups, rules, at) : before.jobs;
	if (observation.reachable) {
		const calendar = new ZoneCalendar(rules.zone);
		const good = goodOnes(observation.backups, now.getTime());
		for (const [id, job] of Object.entries(jobs)) {
			const { name, kind } = job;
			const isOpen = (problem: Problem) => idOf(problem, { name, kind }) in before.alarms;
			for (const { problem, finding } of checkJob(
				job,
				good.get(id) ?? [],
				rules,
				now.getTime(),
				calendar,
				isOpen,
			)) {
				note(problem, { name, kind }, finding);
			}
		}
		if (rules.jobs === undefined) {
			if (rules.maxAge !== undefined) note('tooOld', undefined, nothingToWatch('tooOld', jobs, observation));
			if (rules.schedule) note('missing', undefined, nothingToWatch('missing', jobs, observation));
		}
		const spaces = spacesOf(rules, observation.backups, observation.space);
		if (spaces.length > 0) {
			note('spaceLow', undefined, spaceFinding(rules, spaces, idOf('spaceLow', undefined) in before.alarms));
		}
	}

	const alarms: WatchState['alarms'] = {};
	const events: Array<Omit<WatchEvent, 'open'>> = [];
	for (const [id, finding] of checks) {
		if (typeof finding !== 'object') continue;
		const { problem, job, message } = finding;
		const since = before.alarms[id]?.since ?? at;
		alarms[id] = { problem, ...(job && { job }), message, since };
		if (!before.alarms[id]) events.push({ event: 'alarm', ...finding, since, at });
	}
	for (const [id, alarm] of Object.entries(before.alarms)) {
		if (alarms[id]) continue;
		const isUnknown = checks.get(id) === 'unknown' || (!checks.has(id) && !observation.reachable);
		if (isUnknown) alarms[id] = alarm;
		else if (checks.has(id)) events.push(resolved(alarm, at));
	}
	const open = Object.keys(alarms).length;
	return {
		events: events.map((event) => ({ ...event, open })),
		findings: [...checks.values()].filter((finding) => typeof finding === 'object'),
		state: { version: 1, alarms, jobs },
	};
}

/** @throws LifeboatError `INVALID_DURATION` or `INVALID_SCHEDULE`. */
export function assertRules({ maxAge, testEvery, schedule }: WatchRules): void {
	for (const duration of [maxAge, testEvery, schedule?.grace]) {
		if (duration !== undefined) parseDuration(duration);
	}
	if (schedule) assertSchedule(schedule);
}

const jobId = ({ name, kind }: { name: string; kind: string }) => JSON.stringify([name, kind]);

const idOf = (problem: Problem, job: Finding['job']) => (job ? `${problem} ${jobId(job)}` : problem);

function unreachable(observation: Observation): Finding | undefined {
	if (observation.reachable) return undefined;
	return {
		problem: 'unreachable',
		message: `The destination of the backups can't be read: ${observation.message}`,
		hint: observation.hint ?? 'Check the address, the credential and the network',
		details: {},
	};
}

/** Without names of jobs those are watched that have backups: of a wrong prefix there would be none, and never an alarm. */
function nothingToWatch(
	problem: Problem,
	jobs: WatchState['jobs'],
	{ backups }: Extract<Observation, { reachable: true }>,
): Finding | undefined {
	if (Object.keys(jobs).length > 0) return undefined;
	const unreadable =
		backups.length > 0 ? `: the manifests of all ${backups.length} that lie there can't be read` : '';
	return {
		problem,
		message: `There is no backup to watch at the destination${unreadable}`,
		hint: 'Check the prefix and the place in the trigger, and whether the workflow that makes backups has run',
		details: { backups: backups.length },
	};
}

/** Good backups by job, newest first: complete, restorable, not of the future. */
function goodOnes(backups: readonly WatchedBackup[], now: number): Map<string, WatchedBackup[]> {
	const chains = new Chains(backups);
	const good = new Map<string, WatchedBackup[]>();
	for (const group of groupsOf(backups)) {
		const members = (group.backups as WatchedBackup[])
			.filter((each) => each.state === 'complete' && chains.problem(each) === undefined)
			.filter(({ createdAt }) => Date.parse(createdAt) <= now)
			.sort((a, b) => Date.parse(b.createdAt) - Date.parse(a.createdAt));
		good.set(jobId(group), members);
	}
	return good;
}

/** The jobs to watch: those seen now, those seen before, and those that the operator names though nobody has seen them. */
function knownJobs(
	before: WatchState,
	backups: readonly WatchedBackup[],
	{ jobs: wanted }: WatchRules,
	at: string,
): Record<string, KnownJob> {
	const jobs: Record<string, KnownJob> = {};
	const isWanted = (name: string) => wanted === undefined || wanted.includes(name);
	for (const [id, job] of Object.entries(before.jobs)) if (isWanted(job.name)) jobs[id] = job;
	for (const backup of backups) {
		// What can't be read is nobody's.
		if (backup.state === 'unreadable' || !isWanted(backup.name)) continue;
		const id = jobId(backup);
		const job = (jobs[id] ??= { name: backup.name, kind: backup.kind, firstSeen: at });
		const { tested, key } = backup;
		if (tested && (!job.lastTest || Date.parse(tested.at) > Date.parse(job.lastTest.at))) {
			jobs[id] = { ...job, lastTest: { ...tested, key } };
		}
	}
	const seen = new Set(Object.values(jobs).flatMap(({ name, kind }) => (kind === '' ? [] : name)));
	for (const name of wanted ?? []) {
		const id = jobId({ name, kind: '' });
		if (seen.has(name)) delete jobs[id];
		else jobs[id] ??= { name, kind: '', firstSeen: at };
	}
	return jobs;
}

const WELL: Record<Problem, string> = {
	unreachable: 'The destination of the backups can be read again',
	tooOld: 'there is a new good backup again',
	missing: 'the scheduled backup is there again',
	sizeFell: 'the newest backup has its usual size again',
	sizeJumped: 'the newest backup has its usual size again',
	testOverdue: 'the restore has been tested again',
	testFailed: 'the last restore test passed',
	spaceLow: 'The destination has room again',
};

/** Where it was of no job. */
const WELL_AT_ALL: Partial<Record<Problem, string>> = {
	tooOld: 'There are backups to watch now',
	missing: 'There are backups to watch now',
};

function resolved(
	{ problem, job, message, since }: WatchState['alarms'][string],
	at: string,
): Omit<WatchEvent, 'open'> {
	return {
		...{ event: 'resolved', problem, ...(job && { job }) },
		message: job ? `${labelOf(job)}: ${WELL[problem]}` : (WELL_AT_ALL[problem] ?? WELL[problem]),
		hint: 'Nothing more is to be done',
		details: { was: message },
		...{ since, at },
	};
}
