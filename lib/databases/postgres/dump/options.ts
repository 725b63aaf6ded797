import { quoteIdentifier } from '../identifiers';

/** What of a database is dumped, and how. */
export interface PostgresDumpOptions {
	/** `plain`, the default: SQL for psql. `custom`: pg_dump's archive for pg_restore, compressed in itself. */
	format?: 'plain' | 'custom';
	/** Of the custom archive; `gzip` unless given. `zstd` needs pg_restore 16 or newer. */
	archiveCompression?: 'none' | 'gzip' | 'zstd';
	/** gzip 1 to 9 (6), zstd 1 to 19 (`usualZstdLevel`). */
	archiveLevel?: number;
	/** How many connections read tables at a time; 1 unless given. Their order in the dump is the same. */
	parallelConnections?: number;
	/** How long to wait for a table that another session has locked, in ms; 0: for ever. Default 30 s. */
	lockTimeoutMs?: number;
	/** How long one statement (the reading of one table, for instance) may take, in ms. Default: any time. */
	statementTimeoutMs?: number;
	/** Patterns as `pg_dump --schema` takes them. */
	schemas?: string[];
	excludeSchemas?: string[];
	/** Patterns as `pg_dump --table` takes them. */
	tables?: string[];
	excludeTables?: string[];
	/** Tables that are kept without their rows. Patterns as `pg_dump --exclude-table-data` takes them. */
	excludeTableData?: string[];
	schemaOnly?: boolean;
	dataOnly?: boolean;
	noOwner?: boolean;
	noPrivileges?: boolean;
	/** Drop the objects before they are created. */
	clean?: boolean;
	/** With `clean`: don't fail at objects that aren't there. */
	ifExists?: boolean;
	/** Default: as pg_dump, with a whole database but not with a choice of schemas or tables. */
	largeObjects?: boolean;
	/**
	 * Use an installed pg_dump instead of the built-in one.
	 *
	 * `path`: of the program; unless given, it is looked for as a shell would.
	 */
	client?: { path?: string };
	/** Name the host in the manifest. */
	includeHost?: boolean;
}

export const defaultLockTimeoutMs = 30_000;

/**
 * The level that zstd works at unless another is chosen. Rows (numbers, hexadecimal, repeated words) become as small with it as with zstd's own
 * default, 3, or smaller, in a third of the time; only long prose gains from more.
 */
export const usualZstdLevel = 1;

/** The arguments of the built-in pg_dump. */
export function pgDumpArguments(options: PostgresDumpOptions, encoding: string): string[] {
	return [
		// With the names of the columns, the cursors that pg_dump opens say which it wants.
		'--column-inserts',
		`--encoding=${encoding}`,
		...selectionArguments(options),
		...flag('--large-objects', options.largeObjects === true),
		...flag('--no-large-objects', options.largeObjects === false),
	];
}

const flag = (option: string, on: boolean | undefined) => (on ? [option] : []);

/** What goes in, as any pg_dump takes it. Values are joined to their options, so that none is taken for an option. */
export function selectionArguments(options: PostgresDumpOptions): string[] {
	const each = (option: string, values: string[] = []) => values.map((value) => `${option}=${value}`);
	return [
		...each('--schema', options.schemas),
		...each('--exclude-schema', options.excludeSchemas),
		...each('--table', options.tables),
		...each('--exclude-table', options.excludeTables),
		...each('--exclude-table-data', options.excludeTableData),
		...flag('--schema-only', options.schemaOnly),
		...flag('--data-only', options.dataOnly),
		...flag('--no-owner', options.noOwner),
		...flag('--no-privileges', options.noPrivileges),
		...flag('--clean', options.clean),
		...flag('--if-exists', options.clean && options.ifExists),
	];
}

/** The pattern that stands for one name and nothing else, whatever is in it. */
export function namePattern(name: string): string {
	return quoteIdentifier(name);
}
