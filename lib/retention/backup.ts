import type { StoredBackup } from '../storage/backups';

/** A backup as retention sees it. */
export interface RetentionBackup {
	key: string;
	/** The manifest's id; empty when the manifest can't be read. */
	id: string;
	/** The job's name; empty when the manifest can't be read: names are never guessed from keys. */
	name: string;
	kind: string;
	/** ISO 8601, from the manifest: when the backup began. Empty when the manifest can't be read. */
	createdAt: string;
	/** ISO 8601: when the storage received it by its own clock, if that is before `createdAt`, which can't be. */
	storedBefore?: string;
	/** Bytes as stored. */
	size: number;
	/** Only complete backups count towards what is kept. */
	state: 'complete' | 'unfinished' | 'unreadable';
	/** Whether a restore test or a full check proved it. */
	proven?: boolean;
	pinned?: boolean;
	/** Whether the storage forbids its deletion for now (object lock, legal hold). */
	locked?: boolean;
	/** From its manifest. */
	tags?: string[];
	/** Ids of the backups it can't be restored without. */
	chain?: { parent: string; base: string };
	/** Why it isn't complete, for the operator. */
	problem?: string;
}

/** What is known of a backup that stands neither in its manifest nor beside it. */
export type BackupMarks = Pick<RetentionBackup, 'locked'>;

/**
 * What retention needs to know of a stored backup. Without a readable manifest it is `unreadable`; with a problem, or empty, it
 * is `unfinished`.
 */
export function toRetentionBackup(stored: StoredBackup, known: BackupMarks = {}): RetentionBackup {
	const { key, size, manifest, storedBefore } = stored;
	const marks = { ...known, pinned: stored.marks.pinned, proven: stored.marks.proof?.passed === true };
	if (!manifest) {
		const problem = stored.problem ?? 'its manifest is missing';
		return { key, id: '', name: '', kind: '', createdAt: '', size, ...marks, state: 'unreadable', problem };
	}
	const { id, name, kind, createdAt, chain, tags } = manifest;
	const problem = stored.problem ?? (size === 0 ? 'it is empty' : undefined);
	return {
		...{ key, id, name, kind, createdAt, size, ...(tags && { tags }), ...marks },
		...(storedBefore && { storedBefore: storedBefore.toISOString() }),
		state: problem === undefined ? 'complete' : 'unfinished',
		...(chain && { chain: { parent: chain.parent, base: chain.base } }),
		...(problem !== undefined && { problem }),
	};
}
