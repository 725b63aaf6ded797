import type { Readable } from 'node:stream';

import type { DatabaseSource, ManifestDraft, TableRows } from '../artifact/manifest';
import type { Production } from '../artifact/produce';

import type { RestoreCheck } from './scratch';

/** What an engine reports while it works. */
export interface Progress {
	/** Such as `rows of public.orders`. */
	step: string;
	bytes?: number;
	tablesDone?: number;
	tablesTotal?: number;
	/** Of all tables, as far as the server has counted them. */
	estimatedRows?: number;
	/** Of all tables on the server's disk. */
	estimatedBytes?: number;
}

export interface EngineContext {
	signal?: AbortSignal;
	/** Called often; the receiver throttles. */
	onProgress?: (progress: Progress) => void;
}

/** A dump that is ready to start. */
export interface Dump {
	/** What the manifest says of where it comes from. */
	readonly source: DatabaseSource;
	readonly format: ManifestDraft['format'];
	/** With its dot: `.sql`. */
	readonly extension: string;
	/** Starts reading the database. */
	start(signal?: AbortSignal): Promise<Production>;
}

/** What a restore did. */
export interface RestoreReport {
	database: string;
	/** Statements run, and COPY blocks loaded. */
	statements: number;
	tables: TableRows[];
	/** How many sequences were compared with the manifest. */
	sequences?: number;
	/** Of the plain content that was read. */
	bytes?: number;
	/** Rows of the backup that were there already, when it was merged. */
	keptRows?: number;
	/** The name under which a database that was replaced is still there. */
	keptAs?: string;
	/** The operator's questions to the restored database, all answered as they must be. */
	checks?: RestoreCheck[];
	/** What the operator should know although it went well. */
	warnings: string[];
}

/**
 * A kind of database server. An engine works from npm packages alone.
 *
 * `Connection` is what reaches one database (host, port, user, password, TLS, or a socket through a tunnel).
 */
export interface DatabaseEngine<Connection, DumpOptions, RestoreOptions> {
	/** As it stands in manifests: `postgresql`. */
	readonly name: string;

	/** Connects, checks that a dump can work (version, permissions), and returns it unstarted. */
	prepareDump(connection: Connection, options: DumpOptions, context?: EngineContext): Promise<Dump>;

	/**
	 * Loads content that was verified before. It fails at the first statement that fails, naming it.
	 *
	 * @param open opens the content from its start; an engine may read it more than once.
	 */
	restore(
		connection: Connection,
		open: (signal?: AbortSignal) => Promise<Readable>,
		options: RestoreOptions,
		context?: EngineContext,
	): Promise<RestoreReport>;
}
