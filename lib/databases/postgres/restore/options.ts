import type { TableRows } from '../../../artifact/manifest';
import type { EntrySelection } from '../archive/types';

import type { RuleOptions } from './rules';
import type { RestoreTarget, TargetOptions } from './target';

/** How a database is restored. */
export interface PostgresRestoreOptions extends RuleOptions, TargetOptions {
	/** Where the backup goes; an existing database unless given. */
	target?: RestoreTarget;
	/**
	 * What to do when the database holds something already: `stop`, the default, or `clean`, which removes all of it. A
	 * restore that fails leaves it as it was in either case.
	 */
	ifNotEmpty?: 'stop' | 'clean';
	/** The rows in each table as the manifest lists them: they are counted before anything becomes visible. */
	expectedTables?: readonly TableRows[];
	/** Which parts of a custom archive to restore, as pg_restore takes them; all unless given. */
	only?: EntrySelection;
	/** Collect statistics for the query planner afterwards. */
	analyze?: boolean;
	/**
	 * How many connections load tables and build indexes and constraints at the same time; 1 unless given. For a new database
	 * and a swap, where nobody sees what is unfinished; into an existing database the restore is one transaction, so one connection.
	 */
	parallelConnections?: number;
	/** How long to wait for a lock that another session holds, in ms; 60,000 unless given, 0 for ever. */
	lockTimeoutMs?: number;
}
