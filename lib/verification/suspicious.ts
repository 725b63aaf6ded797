import type { Manifest } from '../artifact/manifest';
import { LifeboatError } from '../errors';
import type { StoredBackup } from '../storage/backups';

/** What a comparison looks at in a backup, and in those before it. */
export type Comparable = Pick<Manifest, 'content' | 'createdAt' | 'id' | 'kind' | 'name' | 'tables'> & {
	entries?: Manifest['entries'];
};

export interface SuspicionOptions {
	/** How many of the backups before it are compared with: the newest ones. */
	previous: number;
	/** The share by which something may fall below the median: 0.5 lets it halve. */
	maxFall: number;
	/** Fewer backups than this prove no habit: nothing is compared. 2 unless given. */
	atLeast?: number;
	/** Tables with a lower median are passed over: of few rows a few are a large share. 100 unless given. */
	minRows?: number;
}

/** Something that fell by more than is usual. */
export interface Suspicion {
	/** `size of the content`, `rows of public.orders`. */
	what: string;
	/** Bytes or rows. */
	now: number;
	median: number;
	/** The share by which it fell: 0.9 for a tenth of what it was. */
	fall: number;
}

export interface SuspicionReport {
	/** How many backups it was compared with; 0 if there were too few. */
	comparedWith: number;
	suspicions: Suspicion[];
}

/**
 * Compares a backup with the median of the newest ones before it: the size of its content (before compression and encryption), and the
 * rows of each table, in a bundle of each entry by its job. A table that is gone counts as having no rows.
 *
 * The median, so that one odd backup does not move what is usual. Growth is never suspicious.
 *
 * @param others in any order; those of other jobs or kinds, not older ones, and the backup itself are passed over.
 */
export function findSuspicions(
	backup: Comparable,
	others: Iterable<Comparable>,
	{ previous, maxFall, atLeast = 2, minRows = 100 }: SuspicionOptions,
): SuspicionReport {
	const earlier = newest(
		[...others].filter((other) => isEarlier(other, backup)),
		previous,
	);
	if (earlier.length < atLeast) return { comparedWith: 0, suspicions: [] };
	const suspicions: Suspicion[] = [];
	const compare = (what: string, now: number, before: number[], least: number) => {
		const usual = median(before);
		if (usual < least || usual - now <= usual * maxFall) return;
		suspicions.push({ what, now, median: usual, fall: 1 - now / usual });
	};
	compare(
		'size of the content',
		backup.content.size,
		earlier.map(({ content }) => content.size),
		1,
	);
	const now = rowsOf(backup);
	const before = earlier.map(rowsOf);
	for (const table of new Set(before.flatMap((rows) => [...rows.keys()]))) {
		// A table that did not exist yet says nothing of how many rows are usual.
		const counts = before.flatMap((rows) => rows.get(table) ?? []);
		if (counts.length >= atLeast) compare(`rows of ${table}`, now.get(table) ?? 0, counts, minRows);
	}
	return { comparedWith: earlier.length, suspicions };
}

/** The newest whole backups of the same job that are older than this one, as many as are to be compared with. Holds no more than those. */
export async function earlierBackups(
	backups: AsyncIterable<StoredBackup>,
	backup: Comparable,
	previous: number,
): Promise<Comparable[]> {
	let kept: Comparable[] = [];
	for await (const { manifest, problem } of backups) {
		if (!manifest || problem !== undefined || !isEarlier(manifest, backup)) continue;
		kept = newest([...kept, manifest], previous);
	}
	return kept;
}

/** A database and files may go by one name: of both together nothing is usual. */
function isEarlier({ id, kind, name, createdAt }: Comparable, backup: Comparable): boolean {
	const isSameJob = name === backup.name && kind === backup.kind;
	return id !== backup.id && isSameJob && Date.parse(createdAt) < Date.parse(backup.createdAt);
}

function newest(backups: readonly Comparable[], count: number): Comparable[] {
	return backups.toSorted((a, b) => Date.parse(b.createdAt) - Date.parse(a.createdAt)).slice(0, count);
}

/** @returns undefined where nothing is suspicious, else what to tell. */
export function suspicionError(fileName: string, { suspicions, comparedWith }: SuspicionReport) {
	if (suspicions.length === 0) return undefined;
	const parts = suspicions.map(
		({ what, now, median: usual, fall }) => `${what} is ${now}, ${percent(fall)} below the usual ${usual}`,
	);
	const more = parts.length > MOST_NAMED ? `; and ${parts.length - MOST_NAMED} more` : '';
	return new LifeboatError(
		'SUSPICIOUS_CHANGE',
		`${fileName} differs from the ${comparedWith} backups before it: ${parts.slice(0, MOST_NAMED).join('; ')}${more}`,
		{
			hint: 'Find out whether that much was really deleted at the source. Keep older backups until you know',
		},
	);
}

const MOST_NAMED = 5;

function percent(share: number): string {
	return `${Math.floor(share * 100)} %`;
}

function median(values: readonly number[]): number {
	const sorted = values.toSorted((a, b) => a - b);
	const middle = Math.floor(sorted.length / 2);
	return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

function rowsOf({ tables, entries = [] }: Comparable): Map<string, number> {
	const rows = new Map<string, number>();
	const add = (prefix: string, list: Manifest['tables'] = []) => {
		for (const table of list) rows.set(`${prefix}${table.schema}.${table.name}`, table.rows);
	};
	add('', tables);
	for (const { manifest } of entries) add(`${manifest.name}: `, manifest.tables);
	return rows;
}
