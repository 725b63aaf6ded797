import type { Client } from 'pg';

import type { LifeboatError } from '../../../../errors';
import type { EngineContext } from '../../../engine';
import { statementError, type FailedStatement, type RestoreSetting } from '../errors';
import { mergeCopy } from '../parts/merge-copy';
import { insertedTable, rowsOfInsert } from '../parts/merge-insert';
import type { LoadedRows } from '../row-counts';
import type { SqlStatement } from '../sql/lexer';
import { nameAt, tokensOf } from '../sql/statement';

import { CreatedTables } from './created-tables';
import type { RunOptions, Script } from './script';
import { failedOf } from './statement-batch';
import { OBJECT_EXISTS, runTolerant } from './tolerant';
import { BatchError, copyRaw, rowsOf, runRaw } from './wire';

/** Brings statements to the server that a script was found to hold, counts what they did, and names what failed. */
export class StatementExecutor {
	/** So many were run, COPY statements among them. */
	statements = 0;

	readonly created = new CreatedTables();

	/** The one at hand. */
	script!: Script;

	/** The step that progress reports name. */
	private step = 'reading the script';

	constructor(
		private readonly client: Client,
		private readonly loaded: LoadedRows,
		private readonly setting: RestoreSetting,
		private readonly options: RunOptions,
		private readonly context: EngineContext,
	) {}

	/** Runs several statements in one message. @throws LifeboatError for the one that failed. */
	async runBatch(batch: readonly SqlStatement[]): Promise<void> {
		try {
			const tags = await runRaw(
				this.client,
				batch.map(({ sql }) => sql),
			);
			for (const [index, tag] of tags.entries()) {
				if (!tag.startsWith('INSERT ')) continue;
				const sql = batch[index]?.sql;
				const table = sql && insertedTable(sql);
				if (!table) continue;
				const isMerged = this.options.partial?.mergeKey(table) !== undefined;
				const rows = isMerged ? rowsOfInsert(sql) : rowsOf(tag);
				this.loaded.add(table.schema, table.name, rows);
				if (isMerged) this.loaded.keep(table.schema, table.name, rows - rowsOf(tag));
			}
			this.statements += batch.length;
		} catch (error) {
			throw this.failure(error, failedOf(batch, error));
		}
	}

	/** Runs a statement on another connection. */
	async runOn(worker: Client, statement: SqlStatement): Promise<void> {
		try {
			await runRaw(worker, [statement.sql]);
			this.statements += 1;
		} catch (error) {
			throw this.failure(error, statement);
		}
	}

	/** Runs a statement that creates something, unless that is there already. */
	async attempt(statement: SqlStatement): Promise<void> {
		if (!(await this.tolerating(statement, OBJECT_EXISTS))) this.options.partial?.keep(statement.object);
	}

	/** @param tolerated as `runTolerant` takes it. @returns whether it worked. */
	async tolerating(statement: SqlStatement, tolerated: RegExp): Promise<boolean> {
		try {
			const works = !(await runTolerant(this.client, statement.sql, tolerated));
			if (works) this.statements += 1;
			return works;
		} catch (error) {
			throw this.failure(error, statement);
		}
	}

	/** The rows of the COPY statement that was read last. */
	private rows(): AsyncIterable<Buffer> {
		return this.script.takeRows?.() ?? this.script.lexer.copyData();
	}

	/** Passes over the rows of the COPY statement that was read last. */
	async skipRows(): Promise<void> {
		for await (const chunk of this.rows()) void chunk;
	}

	/** Runs a COPY statement with its rows. */
	async copy(statement: SqlStatement): Promise<void> {
		const table = nameAt(tokensOf(statement.sql, 8), 1);
		const { hasLines = true, lexer } = this.script;
		const firstRowLine = hasLines ? lexer.nextLine : undefined;
		this.report(
			table ? `rows of ${table.schema === undefined ? '' : `${table.schema}.`}${table.name}` : 'rows',
		);
		try {
			let bytes = 0;
			const onBytes = (count: number) => {
				bytes += count;
				this.report();
			};
			const key = this.options.partial?.mergeKey(table);
			if (table && key) {
				const { rows, added } = await mergeCopy(this.client, statement.sql, key, this.rows(), onBytes);
				this.loaded.add(table.schema, table.name, rows, bytes);
				this.loaded.keep(table.schema, table.name, rows - added);
			} else {
				const sql = this.created.freeze(statement.sql, table);
				const rows = await copyRaw(this.client, sql, this.rows(), onBytes, this.options.giveBack);
				if (table) this.loaded.add(table.schema, table.name, rows, bytes);
			}
			this.statements += 1;
		} catch (error) {
			throw this.failureOf(error, { ...statement, firstRowLine });
		}
	}

	/** The error to throw for a statement that another connection has run. */
	failureOf(error: unknown, statement: FailedStatement): unknown {
		return error instanceof BatchError ? this.failure(error, statement) : error;
	}

	private failure(error: unknown, statement: FailedStatement): LifeboatError {
		const dumpedFrom = this.script.lexer.comments.serverVersion;
		return statementError(error, statement, { ...this.setting, dumpedFrom });
	}

	/** @param step unless given, the one before goes on. */
	report(step = this.step): void {
		this.step = step;
		const { tablesTotal, bytesRead } = this.options;
		this.context.onProgress?.({
			step,
			bytes: bytesRead?.() ?? this.script.lexer.position,
			tablesDone: this.loaded.tables,
			...(tablesTotal === undefined ? {} : { tablesTotal }),
		});
	}
}
