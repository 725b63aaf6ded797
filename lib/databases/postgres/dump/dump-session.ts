import type { Client } from 'pg';

import { insertTarget, parseCursor, type QualifiedName, type RowCursor } from './cursor';
import { incomplete } from './incomplete';
import { withPortableAnswers } from './portable-answers';
import {
	commandComplete,
	emptyResult,
	isLargeObjectRead,
	nullRows,
	openedLargeObject,
	queryMessage,
	queryText,
	type ServerError,
} from './protocol';
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

/** What pg_dump writes: in a script the contents of tables and large objects are left out, in an archive they are blocks of their own. */
export type OutputKind = 'script' | 'archive';

/** A table whose rows belong into the dump. */
export interface DumpedTable extends RowCursor {
	/** 0 until they are read. */
	rows: number;
	/** The table they will be put into. */
	target?: QualifiedName;
}

/** A place in a script where contents belong that pg_dump did not write. */
export type ContentPlace = { table: DumpedTable } | { largeObject: number };

/** The answer to a request; what pg_dump writes from then on stands behind the place, if there is one. */
export interface SessionAnswer {
	bytes: Buffer;
	place?: ContentPlace;
}

type Cursor = DumpedTable & {
	/** `declared`: nothing was fetched. `one row`: pg_dump was given a row and is writing it. `done`: it has got all. */
	state: 'declared' | 'one row' | 'done';
};

/**
 * Answers the requests of pg_dump, all of them over one connection and in one transaction.
 *
 * Rows never go through pg_dump. When it fetches the rows of a table, it gets one row of nulls; the statement it writes for
 * that row tells the place of the rows in the dump and the table they belong to, and is left out. The rows are read afterwards, in the
 * very transaction that pg_dump read the schema in (or under its snapshot), with the settings it made and the locks it took. So are
 * the contents of large objects.
 */
export class DumpSession {
	/** In the order of the dump. */
	readonly dumpedTables: DumpedTable[] = [];

	failedRequest: FailedRequest | undefined;

	/** What pg_dump wrote for the row that it was given. */
	private held: Buffer[] = [];

	private cursor: Cursor | undefined;

	private largeObject: { oid: number; isPlaced: boolean } | undefined;

	constructor(
		private readonly client: Client,
		private readonly settings: SessionSettings,
		private readonly output: OutputKind,
	) {}

	/** Takes what pg_dump has written, and gives what of it belongs into the dump. */
	written(bytes: Buffer): Buffer | undefined {
		if (this.output === 'archive' || this.cursor?.state !== 'one row') return bytes;
		this.held.push(bytes);
		return undefined;
	}

	/** @throws LifeboatError `INCOMPLETE` where pg_dump asks for what this does not understand. */
	async answer(request: Buffer): Promise<SessionAnswer> {
		const sql = queryText(request);
		if (sql === undefined) return this.call(request);
		if (sql.startsWith('DECLARE _pg_dump_cursor ')) return { bytes: this.declare(sql) };
		if (/^FETCH \d+ FROM _pg_dump_cursor$/.test(sql)) return this.fetch();
		if (sql === 'CLOSE _pg_dump_cursor') return { bytes: this.close() };
		// The transaction was begun before pg_dump came.
		if (sql === 'BEGIN') return { bytes: commandComplete('BEGIN') };
		const adapted = this.adapt(sql);
		return { bytes: await this.forward(adapted === sql ? request : queryMessage(adapted), sql) };
	}

	/** Takes from the statement that pg_dump wrote for a row of nulls which table the rows are to be put into. */
	setTarget(table: DumpedTable, written: Buffer): QualifiedName {
		const target = insertTarget(written.toString('latin1'));
		if (target === undefined) {
			throw incomplete(`the place of the rows of table ${table.schema}.${table.name} was not found`);
		}
		table.target = target;
		return target;
	}

	/** @throws LifeboatError `INCOMPLETE` unless pg_dump asked for all rows of the tables that it began with. */
	assertComplete(): void {
		if (this.cursor !== undefined || this.held.length > 0) {
			throw incomplete('pg_dump ended in the middle of a table');
		}
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

	/** Answers a call of a function, which is how large objects are read. */
	private async call(request: Buffer): Promise<SessionAnswer> {
		if (!isLargeObjectRead(request)) {
			const oid = openedLargeObject(request);
			if (oid !== undefined) this.largeObject = { oid, isPlaced: false };
			return { bytes: await this.forward(request) };
		}
		if (!this.largeObject) throw incomplete('pg_dump asked for contents of no large object');
		const { oid, isPlaced } = this.largeObject;
		this.largeObject.isPlaced = true;
		const isPlace = this.output === 'script' && !isPlaced;
		return { bytes: emptyResult(), ...(isPlace && { place: { largeObject: oid } }) };
	}

	private declare(sql: string): Buffer {
		const table = parseCursor(sql);
		if (!table || this.cursor) throw incomplete('pg_dump asked for rows in an unknown way');
		this.cursor = { ...table, state: 'declared', rows: 0 };
		this.dumpedTables.push(this.cursor);
		return commandComplete('DECLARE CURSOR');
	}

	private fetch(): SessionAnswer {
		const { cursor } = this;
		if (!cursor || cursor.state === 'done') throw incomplete('pg_dump asked for rows of no table');
		if (cursor.state === 'declared') {
			cursor.state = 'one row';
			return { bytes: nullRows(cursor.columnCount, 1) };
		}
		cursor.state = 'done';
		const bytes = nullRows(cursor.columnCount, 0);
		if (this.output === 'archive') return { bytes };
		this.setTarget(cursor, Buffer.concat(this.held));
		this.held = [];
		return { bytes, place: { table: cursor } };
	}

	private close(): Buffer {
		const { cursor } = this;
		if (cursor?.state !== 'done') throw incomplete('pg_dump stopped reading a table before its end');
		this.cursor = undefined;
		return commandComplete('CLOSE CURSOR');
	}
}
