import type { Client } from 'pg';

import type { SequenceValue, TableRows } from '../../../artifact/manifest';
import { LifeboatError } from '../../../errors';
import type { Progress } from '../../engine';
import { copyStatement } from '../archive/skeleton';
import { postgresError } from '../errors';

import { copyOut } from './copy-out';
import { insertTarget, parseCursor, type QualifiedName, type RowCursor } from './cursor';
import { withPortableAnswers } from './portable-answers';
import {
	commandComplete,
	emptyResult,
	isLargeObjectRead,
	nullRows,
	queryMessage,
	queryText,
	type ServerError,
} from './protocol';
import { exchangeRaw } from './raw-exchange';
import { SequenceScanner } from './sequence-values';

/** A request of pg_dump that the server refused. */
export interface FailedRequest {
	sql: string | undefined;
	error: ServerError;
}

export interface SessionSettings {
	lockTimeoutMs: number;
	statementTimeoutMs: number;
}

/**
 * `in place`: the rows of a table are streamed at the place where pg_dump would have written them. `later`: pg_dump ends first,
 * and the rows are read one table after the other with `rowsOf`.
 */
export type RowsPlace = 'in place' | 'later';

/** A table whose rows belong into the dump. */
export interface DumpedTable extends RowCursor {
	rows: number;
	/** The table they will be put into. */
	target?: QualifiedName;
}

type Expected = Required<Pick<Progress, 'tablesTotal' | 'estimatedRows' | 'estimatedBytes'>>;

type Cursor = DumpedTable & {
	/** `declared`: nothing was fetched. `one row`: pg_dump was given a row and is writing it. `done`: it has got all. */
	state: 'declared' | 'one row' | 'done';
};

/**
 * Answers the requests of pg_dump, all of them over one connection and in one transaction.
 *
 * Rows never go through pg_dump. When it fetches the rows of a table, it gets one row of nulls; the statement it writes for
 * that row tells the place of the rows in the dump and the table they belong to, and is replaced with a COPY block that is
 * streamed from the server. The rows are read in the very transaction that pg_dump reads the schema in, with the settings it
 * made and the locks it took.
 */
export class DumpSession {
	/** In the order of the dump. */
	readonly dumpedTables: DumpedTable[] = [];

	failedRequest: FailedRequest | undefined;

	/** The values that the dump gives them. */
	sequences: SequenceValue[];

	private readonly scanner = new SequenceScanner();

	/** What pg_dump wrote, not yet given on because it is to be replaced. */
	private held: Buffer[] = [];

	private cursor: Cursor | undefined;

	private tablesRead = 0;

	/** Of rows. */
	private bytesRead = 0;

	private expected: Expected | undefined;

	constructor(
		private readonly client: Client,
		private readonly settings: SessionSettings,
		private readonly rowsPlace: RowsPlace,
		private readonly onProgress: (progress: Progress) => void = () => undefined,
	) {
		this.sequences = this.scanner.values;
	}

	/** Rows of the tables, by the table they will be put into. */
	get tables(): TableRows[] {
		const counts = new Map<string, TableRows>();
		for (const table of this.dumpedTables) {
			// Partitions may be loaded through their root (hashes differ from server to server): their rows are counted there.
			const { schema, name } = table.target ?? table;
			const key = JSON.stringify([schema, name]);
			counts.set(key, { schema, name, rows: (counts.get(key)?.rows ?? 0) + table.rows });
		}
		return [...counts.values()];
	}

	/** Takes what pg_dump has written, and gives what of it can be given on. */
	written(bytes: Buffer): Buffer | undefined {
		if (this.rowsPlace === 'later') return bytes;
		if (this.cursor?.state !== 'one row') {
			this.scanner.push(bytes);
			return bytes;
		}
		this.held.push(bytes);
		return undefined;
	}

	/** Answers a request; yields the rows of a table if it is time for them. @returns the answer for pg_dump. */
	async *answer(request: Buffer): AsyncGenerator<Buffer, Buffer> {
		const sql = queryText(request);
		if (sql === undefined) {
			// The contents of large objects don't go through pg_dump either, where they can be read later.
			if (this.rowsPlace === 'later' && isLargeObjectRead(request)) return emptyResult();
			return this.forward(request);
		}
		if (sql.startsWith('DECLARE _pg_dump_cursor ')) return this.declare(sql);
		if (/^FETCH \d+ FROM _pg_dump_cursor$/.test(sql)) return yield* this.fetch();
		if (sql === 'CLOSE _pg_dump_cursor') return this.close();
		// The transaction was begun before pg_dump came.
		if (sql === 'BEGIN') return commandComplete('BEGIN');
		const adapted = this.adapt(sql);
		return this.forward(adapted === sql ? request : queryMessage(adapted), sql);
	}

	/** Takes from the statement that pg_dump wrote for a row of nulls which table the rows are to be put into. */
	setTarget(table: DumpedTable, written: Buffer): QualifiedName {
		const target = insertTarget(written.toString('latin1'));
		if (target === undefined) throw incomplete(`the place of the rows of ${describe(table)} was not found`);
		table.target = target;
		return target;
	}

	/** The rows of a table in COPY's text format, without an end marker. @param client one that sees what pg_dump saw. */
	async *rowsOf(table: DumpedTable, client: Client = this.client): AsyncGenerator<Buffer> {
		const step = `rows of ${describe(table)}`;
		const known = { step, tablesDone: this.tablesRead, ...this.expected };
		this.onProgress({ ...known, bytes: this.bytesRead });
		const failed = (error: unknown) => {
			throw tableError(error, table);
		};
		const pieces = copyOut(client, table.copyOut);
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
		this.tablesRead += 1;
	}

	/** @throws LifeboatError `INCOMPLETE` unless the rows of all tables that pg_dump asked for are out. */
	assertComplete(): void {
		const { length } = this.dumpedTables;
		if (this.cursor === undefined && this.held.length === 0 && this.tablesRead === length) return;
		throw incomplete(`only ${this.tablesRead} of ${length} tables were read`);
	}

	private adapt(sql: string): string {
		const { lockTimeoutMs, statementTimeoutMs } = this.settings;
		if (sql === 'SET lock_timeout = 0') return `SET lock_timeout = ${lockTimeoutMs}`;
		if (sql === 'SET statement_timeout = 0') return `SET statement_timeout = ${statementTimeoutMs}`;
		return withPortableAnswers(sql);
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

	private async forward(request: Buffer, sql?: string): Promise<Buffer> {
		const { bytes, error } = await exchangeRaw(this.client, request);
		if (error) this.failedRequest = { sql, error };
		return bytes;
	}

	private async declare(sql: string): Promise<Buffer> {
		const table = parseCursor(sql);
		if (!table || this.cursor) throw incomplete('pg_dump asked for rows in an unknown way');
		this.expected ??= await this.expect();
		this.cursor = { ...table, state: 'declared', rows: 0 };
		this.dumpedTables.push(this.cursor);
		return commandComplete('DECLARE CURSOR');
	}

	private async *fetch(): AsyncGenerator<Buffer, Buffer> {
		const { cursor } = this;
		if (!cursor || cursor.state === 'done') throw incomplete('pg_dump asked for rows of no table');
		if (cursor.state === 'declared') {
			cursor.state = 'one row';
			return nullRows(cursor.columnCount, 1);
		}
		if (this.rowsPlace === 'in place') {
			const target = this.setTarget(cursor, Buffer.concat(this.held));
			this.held = [];
			yield Buffer.from(copyStatement(target.sql, cursor.columns), 'latin1');
			yield* this.rowsOf(cursor);
			yield Buffer.from('\\.\n');
		}
		cursor.state = 'done';
		return nullRows(cursor.columnCount, 0);
	}

	private close(): Buffer {
		const { cursor } = this;
		if (cursor?.state !== 'done') throw incomplete('pg_dump stopped reading a table before its end');
		this.cursor = undefined;
		return commandComplete('CLOSE CURSOR');
	}
}

function describe({ schema, name }: RowCursor): string {
	return `table ${schema}.${name}`;
}

function tableError(error: unknown, cursor: RowCursor): LifeboatError {
	const failure = postgresError(error, `reading ${describe(cursor)}`);
	if (failure.code !== 'NOT_PERMITTED') return failure;
	// Whoever lacks the privilege to read a table fails at locking it, before.
	return new LifeboatError(failure.code, failure.message, {
		hint: 'Row-level security hides rows of it from the user, and a dump must not leave rows out: connect as the owner or a superuser, or ALTER ROLE … BYPASSRLS',
		cause: error,
	});
}

/** A dump that must not be taken for one. */
export function incomplete(reason: string, cause?: unknown): LifeboatError {
	return new LifeboatError('INCOMPLETE', `The dump is not complete: ${reason}`, {
		hint: 'Run the node again; if it happens again, report it as a bug, with the versions of the server and of Lifeboat',
		cause,
	});
}
