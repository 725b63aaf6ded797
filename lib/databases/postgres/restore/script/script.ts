import type { GiveBack } from '../../../../streams/buffer-pool';
import type { Connections } from '../builds/connections';
import type { PartialRestore } from '../parts/partial';
import type { RuleOptions } from '../rules/rules';
import type { SqlLexer } from '../sql/lexer';

import type { LockBudget } from './lock-budget';

/** What a script did. */
export interface ScriptResult {
	/** Statements run, and COPY blocks loaded. */
	statements: number;
	warnings: readonly string[];
}

/** Where a script comes from. */
export interface Script {
	lexer: SqlLexer;
	/** The rows of the COPY statement that was read last, where they don't follow it in the script. */
	takeRows?: () => AsyncIterable<Buffer> | undefined;
	/** Lines of the script mean something to the reader of an error. */
	hasLines?: boolean;
}

export interface RunOptions extends RuleOptions {
	/** The database that the session is in; the setting names the one whose place it takes in the end. */
	into: string;
	/** The names of the server's settings. */
	serverSettings: ReadonlySet<string>;
	tablesTotal?: number;
	/** How far the reading of the backup is, for progress. */
	bytesRead?: () => number;
	/** Takes pieces of the backup that are used up. */
	giveBack?: GiveBack | undefined;
	connections?: Connections | undefined;
	partial?: PartialRestore | undefined;
	/** What a transaction may lock, where the restore need not be a single one. */
	locks?: LockBudget | undefined;
}
