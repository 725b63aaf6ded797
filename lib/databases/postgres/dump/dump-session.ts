import type { Client } from 'pg';

import type { TableRows } from '../../../artifact/manifest';
import { LifeboatError } from '../../../errors';
import type { Progress } from '../../engine';
import { postgresError } from '../errors';

import { copyOut } from './copy-out';
import { insertTarget, parseCursor, type QualifiedName, type RowCursor } from './cursor';
import { commandComplete, nullRows, queryMessage, queryText, type ServerError } from './protocol';
import { exchangeRaw } from './raw-exchange';

/** A request of pg_dump that the server refused. */
export interface FailedRequest {
	sql: string | undefined;
	error: ServerError;
}

export interface SessionSettings {
	lockTimeoutMs: number;
	statementTimeoutMs: number;
}

type Cursor = RowCursor & {
	/** `declared`: nothing was fetched. `one row`: pg_dump was given a row and is writing it. `done`: the table's rows are out. */
	state: 'declared' | 'one row' | 'done';
	rows: number;
	target?: QualifiedName;
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
	/** Rows of the tables that were read to the end, in the order of the dump, by the table they will be put into. */
	get tables(): TableRows[] {
		return [...this.counts.values()];
	}

	failedRequest: FailedRequest | undefined;

	/** What pg_dump wrote, not yet given on because it may have to be replaced. */
	private held: Buffer[] = [];

	private cursor: Cursor | undefined;

	private readonly counts = new Map<string, TableRows>();

	private cursorsOpened = 0;

	private cursorsDone = 0;

	constructor(
		private readonly client: Client,
		private readonly settings: SessionSettings,
		private readonly onProgress: (progress: Progress) => void = () => undefined,
	) {}

	/** Takes what pg_dump has written, and gives what of it can be given on. */
	written(bytes: Buffer): Buffer | undefined {
		if (this.cursor?.state !== 'one row') return bytes;
		this.held.push(bytes);
		return undefined;
	}

	/** Answers a request; yields the rows of a table if it is time for them. @returns the answer for pg_dump. */
	async *answer(request: Buffer): AsyncGenerator<Buffer, Buffer> {
		const sql = queryText(request);
		if (sql === undefined) return this.forward(request);
		if (sql.startsWith('DECLARE _pg_dump_cursor ')) return this.declare(sql, request);
		if (/^FETCH \d+ FROM _pg_dump_cursor$/.test(sql)) return yield* this.fetch(request);
		if (sql === 'CLOSE _pg_dump_cursor') return this.close(request);
		// The transaction was begun before pg_dump came.
		if (sql === 'BEGIN') return commandComplete('BEGIN');
		const adapted = this.adapt(sql);
		return this.forward(adapted === sql ? request : queryMessage(adapted), sql);
	}

	/** @throws LifeboatError `INCOMPLETE` unless the rows of all tables that pg_dump asked for are out. */
	assertComplete(): void {
		if (this.cursor === undefined && this.held.length === 0 && this.cursorsDone === this.cursorsOpened)
			return;
		throw incomplete(`only ${this.cursorsDone} of ${this.cursorsOpened} tables were read`);
	}

	private adapt(sql: string): string {
		const { lockTimeoutMs, statementTimeoutMs } = this.settings;
		if (sql === 'SET lock_timeout = 0') return `SET lock_timeout = ${lockTimeoutMs}`;
		if (sql === 'SET statement_timeout = 0') return `SET statement_timeout = ${statementTimeoutMs}`;
		return withPortableAnswers(sql);
	}

	private async forward(request: Buffer, sql?: string): Promise<Buffer> {
		const { bytes, error } = await exchangeRaw(this.client, request);
		if (error) this.failedRequest = { sql, error };
		return bytes;
	}

	private async declare(sql: string, request: Buffer): Promise<Buffer> {
		const cursor = parseCursor(sql);
		if (!cursor || this.cursor) throw incomplete('pg_dump asked for rows in an unknown way');
		this.cursorsOpened += 1;
		this.cursor = { ...cursor, state: 'declared', rows: 0 };
		return cursor.hasNoColumns ? this.forward(request, sql) : commandComplete('DECLARE CURSOR');
	}

	private async *fetch(request: Buffer): AsyncGenerator<Buffer, Buffer> {
		const { cursor } = this;
		if (!cursor || cursor.state === 'done') throw incomplete('pg_dump asked for rows of no table');
		// pg_dump writes a statement for each row of such a table, and no value goes through it.
		if (cursor.hasNoColumns) {
			const answer = await this.forward(request);
			const rows = Number(/FETCH (\d+)\0/.exec(answer.toString('latin1'))?.[1]);
			cursor.rows += rows;
			return answer;
		}
		if (cursor.state === 'declared') {
			cursor.state = 'one row';
			return nullRows(cursor.columnCount, 1);
		}
		yield* this.rows(cursor);
		cursor.state = 'done';
		return nullRows(cursor.columnCount, 0);
	}

	private async *rows(cursor: Cursor): AsyncGenerator<Buffer> {
		const target = insertTarget(Buffer.concat(this.held).toString('latin1'));
		this.held = [];
		if (target === undefined) throw incomplete(`the place of the rows of ${describe(cursor)} was not found`);
		cursor.target = target;
		const step = `rows of ${describe(cursor)}`;
		const tablesDone = this.cursorsDone;
		this.onProgress({ step, tablesDone, bytes: 0 });
		yield Buffer.from(`COPY ${target.sql} (${cursor.columns}) FROM stdin;\n`, 'latin1');
		const failed = (error: unknown) => {
			throw tableError(error, cursor);
		};
		const pieces = copyOut(this.client, cursor.copyOut);
		let bytes = 0;
		let next = await pieces.next().catch(failed);
		for (; !next.done; next = await pieces.next().catch(failed)) {
			bytes += next.value.length;
			yield next.value;
			this.onProgress({ step, tablesDone, bytes });
		}
		const rows = next.value;
		if (rows === undefined || !Number.isSafeInteger(rows)) {
			throw incomplete(`the server did not say that all rows of ${describe(cursor)} were sent`);
		}
		cursor.rows = rows;
		yield Buffer.from('\\.\n');
	}

	private async close(request: Buffer): Promise<Buffer> {
		const { cursor } = this;
		if (!cursor || (cursor.state !== 'done' && !cursor.hasNoColumns)) {
			throw incomplete('pg_dump stopped reading a table before its end');
		}
		this.cursor = undefined;
		this.cursorsDone += 1;
		// Partitions may be loaded through their root (hashes differ from server to server): their rows are counted there.
		const { schema, name } = cursor.target ?? cursor;
		const key = JSON.stringify([schema, name]);
		const rows = (this.counts.get(key)?.rows ?? 0) + cursor.rows;
		this.counts.set(key, { schema, name, rows });
		return cursor.hasNoColumns ? this.forward(request) : commandComplete('CLOSE CURSOR');
	}
}

/** pg_dump's questions, where the answers of some servers would make it write what those servers don't take back. */
const replacements: [asked: string, instead: string][] = [
	// Servers of the minor releases of November 2026 and later keep a counter called `pg_attver` among the options of columns.
	// It is theirs alone: another server refuses it as an option.
	[
		"array_to_string(a.attoptions, ', ')",
		"array_to_string(ARRAY(SELECT o FROM pg_catalog.unnest(a.attoptions) o WHERE o NOT LIKE 'pg\\_attver=%'), ', ')",
	],
	// Asked of servers before 16, which don't know the option that pg_dump adds then to each subscription.
	["'t' AS subrunasowner", "'f' AS subrunasowner"],
];

function withPortableAnswers(sql: string): string {
	return replacements.reduce((text, [asked, instead]) => text.replace(asked, () => instead), sql);
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
