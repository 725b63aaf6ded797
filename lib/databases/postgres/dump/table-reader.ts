import type { Client } from 'pg';

import type { TableRows } from '../../../artifact/manifest';
import { LifeboatError } from '../../../errors';
import type { Progress } from '../../engine';
import { postgresError } from '../errors';

import { copyOut } from './copy-out';
import type { DumpedTable } from './dump-session';
import { incomplete } from './incomplete';

type Expected = Required<Pick<Progress, 'tablesTotal' | 'estimatedRows' | 'estimatedBytes'>>;

/** Reads the rows of the tables that pg_dump asked for, counts them, and tells how far that is. */
export class TableReader {
	private readonly read = new Set<DumpedTable>();

	private bytesRead = 0;

	private expected: Promise<Expected> | undefined;

	/** @param client whose transaction holds the locks that pg_dump took. */
	constructor(
		private readonly client: Client,
		private readonly tables: readonly DumpedTable[],
		private readonly onProgress: (progress: Progress) => void = () => undefined,
	) {}

	/**
	 * The rows of a table in COPY's text format, without an end marker.
	 *
	 * @param helper another client that sees what pg_dump saw, to read them with. It fails with `TABLE_LOCKED` at once where somebody waits
	 * for the table, because it would have to wait behind: only who has locked the table already does not.
	 */
	async *rows(table: DumpedTable, helper?: Client): AsyncGenerator<Buffer> {
		const step = `rows of ${describe(table)}`;
		const failed = (error: unknown) => {
			throw tableError(error, table);
		};
		this.expected ??= this.expect();
		const known = { step, tablesDone: this.read.size, ...(await this.expected.catch(failed)) };
		this.onProgress({ ...known, bytes: this.bytesRead });
		const pieces = helper
			? copyOut(helper, `LOCK TABLE ONLY ${table.sql} IN ACCESS SHARE MODE NOWAIT; ${table.copyOut}`)
			: copyOut(this.client, table.copyOut);
		let next = await pieces.next().catch(failed);
		for (; !next.done; next = await pieces.next().catch(failed)) {
			this.bytesRead += next.value.length;
			yield next.value;
			this.onProgress({ ...known, bytes: this.bytesRead });
		}
		const rows = next.value;
		if (rows === undefined || !Number.isSafeInteger(rows)) {
			throw incomplete(`the server did not say that all rows of ${describe(table)} were sent`);
		}
		table.rows = rows;
		this.read.add(table);
	}

	/** @throws LifeboatError `INCOMPLETE` unless the rows of all tables were read. */
	assertComplete(): void {
		const missing = this.tables.filter((table) => !this.read.has(table));
		if (missing.length === 0) return;
		throw incomplete(`${missing.length} of ${this.tables.length} tables were not read`);
	}

	/** What the tables hold that pg_dump has locked, those whose rows are left out among them. */
	private async expect(): Promise<Expected> {
		const { rows } = await this.client.query<Record<'tables' | 'rows' | 'bytes', string>>(
			`SELECT count(*) AS tables, coalesce(sum(CASE WHEN c.reltuples > 0 THEN c.reltuples ELSE 0 END), 0)::int8 AS rows,
				coalesce(sum(pg_catalog.pg_table_size(c.oid)), 0) AS bytes
			FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_class c ON c.oid = l.relation
			WHERE l.locktype = 'relation' AND l.pid = pg_catalog.pg_backend_pid() AND c.relkind = 'r' AND c.oid >= 16384
				AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())`,
		);
		const { tables, rows: estimate, bytes } = rows[0]!;
		return { tablesTotal: Number(tables), estimatedRows: Number(estimate), estimatedBytes: Number(bytes) };
	}
}

/** Rows of tables, by the table they will be put into. */
export function countRows(tables: readonly DumpedTable[]): TableRows[] {
	const counts = new Map<string, TableRows>();
	for (const table of tables) {
		// Partitions may be loaded through their root (hashes differ from server to server): their rows are counted there.
		const { schema, name } = table.target ?? table;
		const key = JSON.stringify([schema, name]);
		counts.set(key, { schema, name, rows: (counts.get(key)?.rows ?? 0) + table.rows });
	}
	return [...counts.values()];
}

function describe({ schema, name }: DumpedTable): string {
	return `table ${schema}.${name}`;
}

function tableError(error: unknown, table: DumpedTable): LifeboatError {
	const failure = postgresError(error, `reading ${describe(table)}`);
	if (failure.code !== 'NOT_PERMITTED') return failure;
	// Whoever lacks the privilege to read a table fails at locking it, before.
	return new LifeboatError(failure.code, failure.message, {
		hint: 'Row-level security hides rows of it from the user, and a dump must not leave rows out: connect as the owner or a superuser, or ALTER ROLE … BYPASSRLS',
		cause: error,
	});
}
