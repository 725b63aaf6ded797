import type { SequenceValue, TableRows } from '../../../artifact/manifest';
import type { SqlCheck } from '../../scratch';
import type { EntrySelection } from '../archive/types';

import type { PartsOption } from './parts/parts';
import type { RuleOptions } from './rules/rules';
import type { RestoreTarget, TargetOptions } from './target/target';

/** How a database is restored. */
export interface PostgresRestoreOptions extends RuleOptions, TargetOptions {
	/** Where the backup goes; an existing database unless given. */
	target?: RestoreTarget;
	/**
	 * What to do when the database holds something already: `stop`, the default, or `clean`, which removes all of it. A
	 * restore that fails leaves it as it was in any case. Of a part of the backup, what is meant is that part. `merge` adds what
	 * is missing: objects that are there stay as they are, and so do rows, by their primary key.
	 */
	ifNotEmpty?: 'stop' | 'clean' | 'merge';
	/** Which schemas and tables to restore, with all that belongs to them; everything unless given. */
	parts?: PartsOption;
	/** The schema into which the parts go; they must lie in one. */
	intoSchema?: string;
	/** Definitions and rows, unless given; or either. `data` needs the tables to be there, and to have the columns. */
	content?: 'all' | 'data' | 'schema';
	/** Whether triggers of tables that are there fire for rows that are loaded; off unless given. Foreign keys hold in any case. */
	triggers?: 'off' | 'fire';
	/** The rows in each table as the manifest lists them: they are counted before anything becomes visible. */
	expectedTables?: readonly TableRows[];
	/** Where the sequences stand as the manifest lists them: they are compared before anything becomes visible. */
	expectedSequences?: readonly SequenceValue[];
	/** Questions to the restored database that nobody uses yet: a wrong answer ends the restore. Not into an existing one. */
	sqlChecks?: readonly SqlCheck[];
	/** How long one of them may take, in ms; 60,000 unless given. */
	checkTimeoutMs?: number;
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
