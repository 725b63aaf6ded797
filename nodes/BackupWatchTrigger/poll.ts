import type { IDataObject, INodeExecutionData, IPollFunctions } from 'n8n-workflow';

import { labelOf } from '../../lib/retention/describe-group';
import { distanceInWords } from '../../lib/retention/rhythm';
import { takeInventory } from '../../lib/retention/inventory';
import type { Observation, WatchRules, WatchState } from '../../lib/watch/types';
import { NOTHING_SEEN, watch, type WatchResult } from '../../lib/watch/watch';
import { toNodeError } from '../shared/errors';
import { asExecution } from '../shared/poll';

import { observe } from './observe';
import { rulesOf } from './rules';

/** n8n gives a poll so many milliseconds where it doesn't say how many. */
const BUDGET = 300_000;

/** Left of the budget for what follows. */
const RESERVE = 10_000;

/**
 * One look at the destination. Tells what has changed since the last one; a test run in the editor tells what is wrong now and
 * remembers nothing.
 */
export async function poll(context: IPollFunctions): Promise<INodeExecutionData[][] | null> {
	try {
		const now = new Date();
		const execution = asExecution(context);
		const rules = rulesOf(execution);
		// Older versions of n8n don't tell.
		const budget = (context.getPollBudgetMs as (() => number) | undefined)?.call(context) ?? BUDGET;
		const signal = AbortSignal.timeout(Math.max(RESERVE, budget - RESERVE));
		const { observation, destination } = await observe(execution, signal);
		const memory = context.getWorkflowStaticData('node');
		const result = watch(remembered(memory.watch), observation, rules, now);
		if (context.getMode() === 'manual') {
			return [inTest(result, observation, rules, now).map((json) => ({ json: { ...json, destination } }))];
		}
		memory.watch = structuredClone(result.state) as unknown as IDataObject;
		if (result.events.length === 0) return null;
		return [result.events.map((event) => ({ json: { ...toJson(event), destination } }))];
	} catch (error) {
		throw toNodeError(context.getNode(), error, 0);
	}
}

function remembered(value: unknown): WatchState {
	// n8n gives a proxy that notes changes; the watch gets a copy of its own.
	const state = value === undefined ? undefined : (JSON.parse(JSON.stringify(value)) as WatchState);
	return state?.version === 1 ? state : NOTHING_SEEN;
}

/** Flat, so that the next node finds each field by its name. */
function toJson({ job, ...event }: Partial<WatchResult['events'][number]>): IDataObject {
	return { ...event, job: job?.name ?? '', kind: job?.kind ?? '' };
}

/** What a test run shows: everything that is wrong now, in the shape of a real alarm; or how well all is. */
function inTest(result: WatchResult, observation: Observation, rules: WatchRules, now: Date): IDataObject[] {
	const at = now.toISOString();
	const { findings } = result;
	const common = { at, since: at, open: findings.length, test: true };
	if (findings.length > 0) {
		return findings.map((finding) => toJson({ event: 'alarm', ...finding, ...common }));
	}
	const backups = observation.reachable ? observation.backups : [];
	const jobs = takeInventory(backups, { now, zone: rules.zone }).filter(({ newest }) => newest);
	const ages = jobs.map((job) => `${labelOf(job)} ${distanceInWords(job.newest!.age)} old`);
	const message =
		jobs.length > 0
			? `All is well. The newest good backups: ${ages.join(', ')}`
			: 'There are no backups here yet. Name jobs that must have some under Jobs, to be told when they have none';
	return [
		{ event: 'resolved', problem: 'none', message, hint: '', details: {}, ...common, job: '', kind: '' },
	];
}
