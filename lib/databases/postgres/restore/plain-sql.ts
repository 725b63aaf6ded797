import type { Client } from 'pg';

import type { EngineContext } from '../../engine';
import type { LifeboatError } from '../../../errors';
import { wireOf } from '../connection';

import { serverErrorOf, statementError, type FailedStatement, type RestoreSetting } from './errors';
import type { LoadedRows } from './row-counts';
import { RestoreRules, summarize, type RuleOptions } from './rules';
import type { SqlLexer, SqlStatement } from './sql-lexer';
import { nameAt, tokensOf } from './statement';
import { BatchError, copyRaw, rowsOf, runRaw } from './wire';

/** What a script did. */
export interface ScriptResult {
	/** Statements run, and COPY blocks loaded. */
	statements: number;
	warnings: string[];
}

/** Statements go to the server in messages of at most this many. Large enough to hide the round trip, small enough to hold. */
const BATCH_BYTES = 65_536;
const BATCH_STATEMENTS = 500;
const MOST_WARNINGS = 50;

/** What a DROP answers whose object is not there: table, object, function, schema, column. */
const missingObject = /^(42P01|42704|42883|3F000|42703)$/;

/**
 * Runs a script in the transaction that a client is in.
 *
 * The script is read on while the server works: one batch of statements is under way while the next one is read. Where
 * a statement may change how the script is to be read, reading waits for it.
 */
export class ScriptRunner {
	private readonly result: ScriptResult = { statements: 0, warnings: [] };

	private batch: SqlStatement[] = [];

	private batchBytes = 0;

	private underWay: Promise<void> | undefined;

	private readonly parameters = new Map<string, string>();

	private readonly rules: RestoreRules;

	/** The step that progress reports name. */
	private step = 'reading the script';

	constructor(
		private readonly client: Client,
		private readonly lexer: SqlLexer,
		private readonly loaded: LoadedRows,
		private readonly setting: RestoreSetting,
		options: RuleOptions & {
			serverSettings: ReadonlySet<string>;
			tablesTotal?: number;
			bytesRead?: () => number;
		},
		private readonly context: EngineContext,
	) {
		this.rules = new RestoreRules(options, setting.database, options.serverSettings);
		this.tablesTotal = options.tablesTotal;
		this.bytesRead = options.bytesRead ?? (() => lexer.position);
	}

	private readonly tablesTotal: number | undefined;

	private readonly bytesRead: () => number;

	/** @throws LifeboatError at the first statement that fails. The transaction is then to be rolled back. */
	async run(): Promise<ScriptResult> {
		const noteNotice = (notice: { code?: string | undefined; message?: string | undefined }) =>
			this.noteNotice(notice);
		this.client.on('notice', noteNotice);
		wireOf(this.client).on(
			'parameterStatus',
			(message: { parameterName: string; parameterValue: string }) => {
				this.parameters.set(message.parameterName, message.parameterValue);
			},
		);
		try {
			for (;;) {
				const item = await this.lexer.next();
				if (!item) break;
				if (item.kind === 'meta-command') {
					const { warning } = this.rules.metaCommand(item);
					if (warning) this.warn(warning);
				} else await this.statement(item);
				this.context.signal?.throwIfAborted();
			}
			await this.flush();
			await this.settle();
		} catch (error) {
			// The batch under way may have failed earlier in the script: then that is the error to tell.
			await this.settle();
			throw error;
		} finally {
			this.client.off('notice', noteNotice);
		}
		return this.result;
	}

	private async statement(statement: SqlStatement): Promise<void> {
		const decision = this.rules.decide(statement);
		if (decision.action === 'skip') {
			if (decision.warning) this.warn(decision.warning);
			return;
		}
		const decided = { ...statement, sql: decision.sql };
		switch (decision.action) {
			case 'run':
				this.batch.push(decided);
				this.batchBytes += decided.sql.length;
				if (this.batchBytes >= BATCH_BYTES || this.batch.length >= BATCH_STATEMENTS || !this.isUtf8)
					await this.flush();
				return;
			case 'copy':
				return await this.copy(decided);
			case 'drop':
				return await this.alone(() => this.drop(decided));
			case 'alone':
				return await this.alone(() => this.runBatch([decided]));
		}
	}

	/** Hands over the batch, once the one before has been run. */
	private async flush(): Promise<void> {
		await this.settle();
		const { batch } = this;
		if (batch.length === 0) return;
		this.batch = [];
		this.batchBytes = 0;
		this.step = summarize(batch[0]!.sql);
		this.report();
		this.underWay = this.runBatch(batch);
		// It is awaited by the next `settle`; until then its failure is not unhandled.
		this.underWay.catch(() => undefined);
	}

	private async settle(): Promise<void> {
		const { underWay } = this;
		this.underWay = undefined;
		await underWay;
	}

	/** Runs a statement by itself, after which the lexer knows the session's settings. */
	private async alone(run: () => Promise<void>): Promise<void> {
		await this.flush();
		await this.settle();
		await run();
		const conforming = this.parameters.get('standard_conforming_strings');
		if (conforming !== undefined) this.lexer.standardConformingStrings = conforming === 'on';
		const encoding = this.parameters.get('client_encoding');
		if (encoding !== undefined) this.lexer.encoding = encoding;
	}

	private async runBatch(batch: readonly SqlStatement[]): Promise<void> {
		try {
			const tags = await runRaw(
				this.client,
				batch.map(({ sql }) => sql),
			);
			for (const [index, tag] of tags.entries()) {
				if (!tag.startsWith('INSERT ')) continue;
				const sql = batch[index]?.sql;
				const table = sql && nameAt(tokensOf(sql, 8), 2);
				if (table) this.loaded.add(table.schema, table.name, rowsOf(tag));
			}
			this.result.statements += batch.length;
		} catch (error) {
			throw this.failure(error, failedOf(batch, error));
		}
	}

	private async drop(statement: SqlStatement): Promise<void> {
		await runRaw(this.client, [Buffer.from('SAVEPOINT lifeboat_drop')]);
		try {
			await runRaw(this.client, [statement.sql]);
			this.result.statements += 1;
		} catch (error) {
			if (!missingObject.test(serverErrorOf(error)?.code ?? '')) throw this.failure(error, statement);
			await runRaw(this.client, [Buffer.from('ROLLBACK TO SAVEPOINT lifeboat_drop')]);
		}
		await runRaw(this.client, [Buffer.from('RELEASE SAVEPOINT lifeboat_drop')]);
	}

	private async copy(statement: SqlStatement): Promise<void> {
		await this.flush();
		await this.settle();
		const table = nameAt(tokensOf(statement.sql, 8), 1);
		const firstRowLine = this.lexer.nextLine;
		this.step = table
			? `rows of ${table.schema === undefined ? '' : `${table.schema}.`}${table.name}`
			: 'rows';
		this.report();
		try {
			const rows = await copyRaw(this.client, statement.sql, this.lexer.copyData(), () => this.report());
			if (table) this.loaded.add(table.schema, table.name, rows);
			this.result.statements += 1;
		} catch (error) {
			throw error instanceof BatchError ? this.failure(error, { ...statement, firstRowLine }) : error;
		}
	}

	private failure(error: unknown, statement: FailedStatement): LifeboatError {
		const dumpedFrom = this.lexer.comments.serverVersion;
		return statementError(error, statement, { ...this.setting, dumpedFrom });
	}

	/** Positions in a message of several statements are told in characters: only in UTF-8 are they counted here. */
	private get isUtf8(): boolean {
		return (this.parameters.get('client_encoding') ?? 'UTF8') === 'UTF8';
	}

	private report(): void {
		this.context.onProgress?.({
			step: this.step,
			bytes: this.bytesRead(),
			tablesDone: this.loaded.tables,
			...(this.tablesTotal === undefined ? {} : { tablesTotal: this.tablesTotal }),
		});
	}

	private noteNotice({ code, message }: { code?: string | undefined; message?: string | undefined }): void {
		// Notices as such (what was skipped, say) are switched off by pg_dump's scripts; warnings come through.
		if (code !== undefined && code !== '00000' && message !== undefined)
			this.warn(`The server warns: ${message}`);
	}

	private warn(text: string): void {
		const { warnings } = this.result;
		if (warnings.length < MOST_WARNINGS && !warnings.includes(text)) warnings.push(text);
		else if (warnings.length === MOST_WARNINGS) warnings.push('There were more warnings');
	}
}

/** Which statement of a batch failed: behind those completed, or, if none could be parsed, the one at the error's position. */
function failedOf(batch: readonly SqlStatement[], error: unknown): SqlStatement {
	const completed = error instanceof BatchError ? error.completed : 0;
	const position = Number((serverErrorOf(error) as { position?: string } | undefined)?.position ?? 0);
	if (completed > 0 || position === 0) return batch[completed] ?? batch[0]!;
	let characters = 0;
	for (const statement of batch) {
		characters += charactersIn(statement.sql) + 2; // what joins them
		if (position <= characters) return statement;
	}
	return batch[0]!;
}

function charactersIn(utf8: Buffer): number {
	let count = 0;
	for (const byte of utf8) if ((byte & 0xc0) !== 0x80) count += 1;
	return count;
}
