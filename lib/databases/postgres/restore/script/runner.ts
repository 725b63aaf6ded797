import { Readable } from 'node:stream';

import type { Client } from 'pg';

import type { LifeboatError } from '../../../../errors';
import type { GiveBack } from '../../../../streams/buffer-pool';
import type { EngineContext } from '../../../engine';
import { BuildPhase } from '../builds/build-phase';
import type { Connections } from '../builds/connections';
import { ParallelBuild } from '../builds/parallel-build';
import { statementError, type FailedStatement, type RestoreSetting } from '../errors';
import { mergeCopy } from '../parts/merge-copy';
import type { PartialRestore } from '../parts/partial';
import type { LoadedRows } from '../row-counts';
import { RestoreRules, type RuleOptions } from '../rules/rules';
import { SqlLexer, type SqlStatement } from '../sql/lexer';
import { nameAt, summarize, tokensOf } from '../sql/statement';

import { CreatedTables } from './created-tables';
import { RowTrust } from './row-trust';
import type { LockBudget } from './lock-budget';
import { SessionState } from './session-state';
import { failedOf, StatementBatch } from './statement-batch';
import { OBJECT_EXISTS, OBJECT_MISSING, runTolerant } from './tolerant';
import { Warnings } from './warnings';
import { BatchError, copyRaw, rowsOf, runRaw } from './wire';

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

/**
 * Runs a script in the transaction that a client is in.
 *
 * The script is read on while the server works: one batch of statements is under way while the next one is read. Where
 * a statement may change how the script is to be read, reading waits for it.
 *
 * With further connections it commits before indexes and constraints are built, which those share: only for a database
 * that nobody uses yet.
 */
export class ScriptRunner {
	private statements = 0;

	private readonly warnings = new Warnings();

	private readonly batch = new StatementBatch(async (statements) => {
		this.report(summarize(statements[0]!.sql));
		await this.runBatch(statements);
	});

	private readonly session: SessionState;

	private readonly rules: RestoreRules;

	/** The step that progress reports name. */
	private step = 'reading the script';

	private script!: Script;

	private readonly created = new CreatedTables();

	private readonly builds: BuildPhase | undefined;

	private readonly trust = new RowTrust();

	private inTransaction = true;

	constructor(
		private readonly client: Client,
		private readonly loaded: LoadedRows,
		private readonly setting: RestoreSetting,
		private readonly options: RunOptions,
		private readonly context: EngineContext,
	) {
		this.rules = new RestoreRules(options, options.into, options.serverSettings, setting.database);
		this.builds = options.connections && this.buildPhase(options.connections);
		this.session = new SessionState(client);
	}

	/** Something ran that may have changed rows in ways that nobody counted. */
	get rowsMayDiffer(): boolean {
		return this.trust.mayDiffer;
	}

	/**
	 * Runs a script, or the next part of one.
	 *
	 * @returns what was done since the first part. @throws LifeboatError at the first statement that fails. The transaction
	 * is then to be rolled back.
	 */
	async run(script: Script): Promise<ScriptResult> {
		this.script = script;
		const noteNotice = (notice: { code?: string | undefined; message?: string | undefined }) =>
			this.warnings.addNotice(notice);
		this.client.on('notice', noteNotice);
		try {
			for (;;) {
				const item = await script.lexer.next();
				if (!item) break;
				if (item.kind === 'meta-command') {
					const { warning } = this.rules.metaCommand(item);
					if (warning) this.warnings.add(warning);
				} else await this.statement(item);
				this.context.signal?.throwIfAborted();
			}
			await this.builds?.finish();
			await this.batch.finish();
		} catch (error) {
			// The batch under way may have failed earlier in the script: then that is the error to tell.
			await this.batch.settle();
			throw error;
		} finally {
			this.client.off('notice', noteNotice);
		}
		return { statements: this.statements, warnings: this.warnings.texts };
	}

	/** Makes visible to other connections what was done so far. */
	async commit(): Promise<void> {
		await this.batch.finish();
		if (!this.inTransaction) return;
		await runRaw(this.client, [Buffer.from('COMMIT')]);
		this.inTransaction = false;
		this.options.locks?.release();
		this.created.forget();
	}

	async begin(): Promise<void> {
		if (this.inTransaction) return;
		await runRaw(this.client, [Buffer.from('BEGIN')]);
		this.inTransaction = true;
	}

	/** The error to throw for a statement that another connection has run. */
	failureOf(error: unknown, statement: FailedStatement): unknown {
		return error instanceof BatchError ? this.failure(error, statement) : error;
	}

	/**
	 * Takes what builds an index or a key of a table whose rows are in, while those of other tables are being loaded.
	 *
	 * @returns whether it was taken; else it has to be run in its turn.
	 */
	async buildEarly(text: Buffer): Promise<boolean> {
		if (!this.builds || this.options.partial) return false;
		const lexer = new SqlLexer(Readable.from([text]));
		this.session.applyTo(lexer);
		const statement = await lexer.next();
		if (statement?.kind !== 'statement' || (await lexer.next())) return false;
		const decision = this.rules.decide(statement);
		return decision.action === 'run' && this.builds.takeEarly({ ...statement, sql: decision.sql });
	}

	/** To be told when a connection has become free: what was taken early goes on. */
	goOnBuilding(): void {
		this.builds?.goOn();
	}

	private buildPhase(connections: Connections): BuildPhase {
		const builds = new ParallelBuild(
			connections,
			async (worker, statement) => this.buildOn(worker, statement),
			(table) => this.loaded.bytesOf(table),
		);
		return new BuildPhase(builds, {
			commit: async () => this.commit(),
			begin: async () => this.begin(),
			runAll: async (statements) => {
				for (const statement of statements) this.batch.add(statement);
				await this.batch.flush();
			},
			onBuilding: () => this.report('building indexes and constraints'),
		});
	}

	private async buildOn(worker: Client, statement: SqlStatement): Promise<void> {
		try {
			await runRaw(worker, [statement.sql]);
			this.statements += 1;
		} catch (error) {
			throw this.failure(error, statement);
		}
	}

	private async statement(statement: SqlStatement): Promise<void> {
		const { partial } = this.options;
		const part = partial?.decide(statement) ?? 'run';
		if (part === 'skip') {
			if (statement.hasCopyData) for await (const chunk of this.rows()) void chunk;
			return;
		}
		if (partial?.keepsBack(statement)) return;
		const decision = this.rules.decide(statement);
		if (decision.action === 'skip') {
			if (decision.warning) this.warnings.add(decision.warning);
			return;
		}
		for (const setting of partial?.settingsFor(statement) ?? []) await this.place(setting);
		const decided = { ...statement, sql: decision.sql };
		if (part === 'attempt') {
			await this.alone(async () => this.attempt(decided));
			return;
		}
		if (this.inTransaction && this.options.locks?.isUsedUpBy(decided)) {
			await this.commit();
			await this.begin();
		}
		this.trust.note(decided);
		if (decision.action !== 'run') await this.builds?.finish();
		else if (await this.builds?.take(decided)) return;
		this.created.note(decided.sql, decided.head);
		switch (decision.action) {
			case 'run':
				this.batch.add(decided);
				if (this.batch.isFull || !this.session.isUtf8) await this.batch.flush();
				return;
			case 'copy':
				return await this.copy(decided);
			case 'drop':
				return await this.alone(async () => void (await this.tolerating(decided, OBJECT_MISSING)));
			case 'alone':
				if (setsSession(decided)) this.options.connections?.remember(decided.sql);
				return await this.alone(() => this.runBatch([decided]));
		}
	}

	/** Makes a setting that was held back until something needs it. */
	private async place(setting: SqlStatement): Promise<void> {
		const decision = this.rules.decide(setting);
		if (decision.action === 'skip') return;
		await this.alone(() => this.runBatch([{ ...setting, sql: decision.sql }]));
	}

	/** Runs a statement by itself, after which the lexer knows the session's settings. */
	private async alone(run: () => Promise<void>): Promise<void> {
		await this.batch.finish();
		await run();
		this.session.applyTo(this.script.lexer);
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
			this.statements += batch.length;
		} catch (error) {
			throw this.failure(error, failedOf(batch, error));
		}
	}

	/** Runs a statement that creates something, unless that is there already. */
	private async attempt(statement: SqlStatement): Promise<void> {
		if (!(await this.tolerating(statement, OBJECT_EXISTS))) this.options.partial?.keep(statement.object);
	}

	private async tolerating(statement: SqlStatement, tolerated: RegExp): Promise<boolean> {
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

	private async copy(statement: SqlStatement): Promise<void> {
		await this.batch.finish();
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

	private failure(error: unknown, statement: FailedStatement): LifeboatError {
		const dumpedFrom = this.script.lexer.comments.serverVersion;
		return statementError(error, statement, { ...this.setting, dumpedFrom });
	}

	private report(step = this.step): void {
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

/** Whether a statement changes what those behind it mean, on every connection. */
function setsSession({ sql, head }: SqlStatement): boolean {
	return (
		head[0] === 'SET' ||
		head[0] === 'RESET' ||
		/^SELECT pg_catalog\.set_config\(/.test(sql.toString('latin1', 0, 40))
	);
}
