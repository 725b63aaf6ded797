import type { Readable } from 'node:stream';

import type { Manifest } from '../artifact/manifest';

import type { EngineContext } from './engine';

/** A question of the operator's to a restored database, and what the answer must be. */
export interface SqlCheck {
	/** As the result calls it. */
	name: string;
	/** One SELECT. */
	sql: string;
	/**
	 * `true`: one value, true. `positive`: one number above zero. `equals`: one value that reads like `value`. `rows`, `noRows`:
	 * at least one row, or none.
	 */
	expect: 'true' | 'positive' | 'equals' | 'rows' | 'noRows';
	value?: string;
}

/** What was compared in a restored backup, and what came of it. */
export interface RestoreCheck {
	name: string;
	passed: boolean;
	detail?: string;
}

/** A backup to be restored for a test, verified before. */
export interface RestoreTestRequest {
	/** Opens the content from its start; it may be read more than once. */
	open: (signal?: AbortSignal) => Promise<Readable>;
	/** What was counted when the backup was made. */
	manifest: Pick<Manifest, 'tables' | 'sequences'> & Partial<Pick<Manifest, 'source'>>;
	sqlChecks?: readonly SqlCheck[];
	/** How long one SQL check may take, in ms; 60,000 unless given. */
	checkTimeoutMs?: number;
}

export interface RestoreTestFindings {
	/** Where it was restored: `PostgreSQL 18.3 in process`. */
	method: string;
	/** Milliseconds from opening the backup to the end of its restore. */
	recoveryTime: number;
	checks: RestoreCheck[];
	/** What the operator should know although nothing failed. */
	warnings: string[];
}

/**
 * A place where a backup of one engine can be restored only to be looked at. Whatever happens in between (a failure, an abort),
 * nothing of it is left afterwards. An engine gets restore tests by implementing this.
 */
export interface ScratchDatabase {
	/** As it stands in manifests: `postgresql`. */
	readonly engine: string;

	/** Whether it takes what belongs to a whole server, its roles: there they must touch nobody else's. */
	readonly takesGlobals: boolean;

	/**
	 * Restores a backup, compares it with its manifest, asks the SQL checks, and throws the restored database away.
	 *
	 * @throws LifeboatError `NOT_TESTABLE` if this place lacks what the backup needs, which says nothing of the backup; what the restore
	 * throws; `SCRATCH_LOST` if the place itself broke.
	 */
	test(request: RestoreTestRequest, context?: EngineContext): Promise<RestoreTestFindings>;
}
