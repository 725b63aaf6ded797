import type { IDataObject, IExecuteFunctions, INodeExecutionData } from 'n8n-workflow';

import { labelOf } from '../../lib/retention/describe-group';
import { takeInventory, type Gap, type Inventory, type InventoryEntry } from '../../lib/retention/inventory';
import { distanceInWords } from '../../lib/retention/rhythm';
import type { Marks } from '../../lib/storage/backups';
import { storageFor } from '../shared/storage';

import { expectedEveryOf, groupByOf, returnsJobs } from './options';
import { hint, inHours, readBackups, zoneOf } from './stored';

/** What there is: an item a backup, the newest of each job first, or an item a job. */
export async function execute(context: IExecuteFunctions, itemIndex: number): Promise<INodeExecutionData[]> {
	const storage = await storageFor(context, itemIndex);
	try {
		const { backups, marks } = await readBackups(context, itemIndex, storage);
		const expectedEvery = expectedEveryOf(context, itemIndex);
		const jobs = takeInventory(backups, {
			now: new Date(),
			zone: zoneOf(context, itemIndex),
			groupBy: groupByOf(context, itemIndex),
			...(expectedEvery && { expectedEvery }),
		});
		for (const job of jobs) warn(context, job);
		const pairedItem = { item: itemIndex };
		if (returnsJobs(context, itemIndex)) return jobs.map((job) => ({ json: describeJob(job), pairedItem }));
		return jobs.flatMap(({ entries }) =>
			entries.map((entry) => ({ json: describeEntry(entry, marks.get(entry.backup)), pairedItem })),
		);
	} finally {
		await storage.close();
	}
}

function warn(context: IExecuteFunctions, job: Inventory): void {
	const open = job.gaps.find(({ to }) => to === undefined);
	if (!open) return;
	hint(
		context,
		`${labelOf(job)}: the newest complete backup is ${distanceInWords(open.length)} old (${open.from}). One or more are missing`,
	);
}

const describeGap = ({ from, to, length, missed }: Gap): IDataObject => ({
	...{ from, to: to ?? null, hours: inHours(length), missed },
});

const percent = (value: number) => Math.round(value * 10) / 10;

function describeEntry({ backup, age, gap, sizeChange }: InventoryEntry, marks?: Marks): IDataObject {
	const { key, name, kind, createdAt, size, state, problem, tags, proven, pinned } = backup;
	const { pin, proof } = marks ?? {};
	return {
		...{ key, name, kind, createdAt },
		...(age === undefined ? {} : { ageHours: inHours(age) }),
		size,
		...(sizeChange === undefined ? {} : { sizeChangePercent: percent(sizeChange) }),
		...(gap ? { gapBefore: describeGap(gap) } : {}),
		complete: state === 'complete',
		...(problem === undefined ? {} : { problem }),
		pinned: pinned === true,
		...(pin ? { pinnedAt: pin.pinnedAt, pinReason: pin.reason ?? '' } : {}),
		proven: proven === true,
		...(proof ? { testedAt: proof.testedAt, testPassed: proof.passed } : {}),
		...(tags?.length ? { tags } : {}),
	};
}

function describeJob(job: Inventory): IDataObject {
	const { name, kind, folder, entries, complete, pinned, proven, totalBytes, newest, interval, gaps, trend } =
		job;
	return {
		...{
			name,
			kind,
			...(folder === undefined ? {} : { folder }),
			backups: entries.length,
			complete,
			pinned,
			proven,
			totalBytes,
		},
		...(newest
			? { newestKey: newest.key, newestAt: newest.createdAt, newestAgeHours: inHours(newest.age) }
			: {}),
		...(interval === undefined ? {} : { usuallyEveryHours: inHours(interval) }),
		missed: gaps.reduce((sum, { missed }) => sum + missed, 0),
		gaps: gaps.slice(-MOST_GAPS).map(describeGap),
		...(trend ? { usualSize: trend.median, growthPerMonth: trend.perMonth } : {}),
	};
}

/** Items stay small: the newest gaps are told one by one. */
const MOST_GAPS = 50;
