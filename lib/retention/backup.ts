/** A backup as retention sees it. */
export interface RetentionBackup {
	key: string;
	/** The manifest's id; empty when the manifest can't be read. */
	id: string;
	/** The job's name; empty when the manifest can't be read: names are never guessed from keys. */
	name: string;
	kind: string;
	/** ISO 8601, from the manifest: when the backup began. */
	createdAt: string;
	/** Bytes as stored. */
	size: number;
	/** Only complete backups count towards what is kept. */
	state: 'complete' | 'unfinished' | 'unreadable';
	/** Whether a restore test or a full check proved it. */
	proven?: boolean;
	pinned?: boolean;
	/** Whether the storage forbids its deletion for now (object lock, legal hold). */
	locked?: boolean;
	tags?: string[];
	/** Ids of the backups it can't be restored without. */
	chain?: { parent: string; base: string };
	/** Why it isn't complete, for the operator. */
	problem?: string;
}
