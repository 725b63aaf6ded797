import { Readable } from 'node:stream';

import type { Client } from 'pg';

import type { EngineContext } from '../../../engine';
import { BuildPhase } from '../builds/build-phase';
import type { Connections } from '../builds/connections';
import { ParallelBuild } from '../builds/parallel-build';
import type { FailedStatement, RestoreSetting } from '../errors';
import type { LoadedRows } from '../row-counts';
import { RestoreRules } from '../rules/rules';
import { SqlLexer, type SqlStatement } from '../sql/lexer';
import { summarize } from '../sql/statement';

import { StatementExecutor } from './executor';
import { RowTrust } from './row-trust';
import type { RunOptions, Script, ScriptResult } from './script';
import { SessionState } from './session-state';
import { StatementBatch } from './statement-batch';
import { OBJECT_MISSING } from './tolerant';
import { Warnings } from './warnings';
import { runRaw } from './wire';

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
	private readonly warnings = new Warnings();

	private readonly batch = new StatementBatch(async (statements) => {
		this.executor.report(summarize(statements[0]!.sql));
		await this.executor.runBatch(statements);
	});

	private readonly session: SessionState;

	private readonly rules: RestoreRules;

	private readonly executor: StatementExecutor;

	private readonly builds: BuildPhase | undefined;

	private readonly trust = new RowTrust();

	private inTransaction = true;

	constructor(
		private readonly client: Client,
		private readonly loaded: LoadedRows,
		setting: RestoreSetting,
		private readonly options: RunOptions,
		private readonly context: EngineContext,
	) {
		this.executor = new StatementExecutor(client, loaded, setting, options, context);
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
		this.executor.script = script;
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
		return { statements: this.executor.statements, warnings: this.warnings.texts };
	}

	/** Makes visible to other connections what was done so far. */
	async commit(): Promise<void> {
		await this.batch.finish();
		if (!this.inTransaction) return;
		await runRaw(this.client, [Buffer.from('COMMIT')]);
		this.inTransaction = false;
		this.options.locks?.release();
		this.executor.created.forget();
	}

	async begin(): Promise<void> {
		if (this.inTransaction) return;
		await runRaw(this.client, [Buffer.from('BEGIN')]);
		this.inTransaction = true;
	}

	/** The error to throw for a statement that another connection has run. */
	failureOf(error: unknown, statement: FailedStatement): unknown {
		return this.executor.failureOf(error, statement);
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
			async (worker, statement) => this.executor.runOn(worker, statement),
			(table) => this.loaded.bytesOf(table),
		);
		return new BuildPhase(builds, {
			commit: async () => this.commit(),
			begin: async () => this.begin(),
			runAll: async (statements) => {
				for (const statement of statements) this.batch.add(statement);
				await this.batch.flush();
			},
			onBuilding: () => this.executor.report('building indexes and constraints'),
		});
	}

	private async statement(statement: SqlStatement): Promise<void> {
		const { partial } = this.options;
		const part = partial?.decide(statement) ?? 'run';
		if (part === 'skip') {
			if (statement.hasCopyData) await this.executor.skipRows();
			return;
		}
		if (partial?.keepsBack(statement)) return;
		const decision = this.rules.decide(statement);
		if (decision.action === 'skip') {
			if (decision.warning) this.warnings.add(decision.warning);
			return;
		}
		for (const setting of partial?.settingsFor(statement) ?? []) await this.place(setting);
		const decided = { ...statement, sql: partial?.adapted(decision.sql) ?? decision.sql };
		if (part === 'attempt') {
			await this.alone(async () => this.executor.attempt(decided));
			return;
		}
		if (this.inTransaction && this.options.locks?.isUsedUpBy(decided)) {
			await this.commit();
			await this.begin();
		}
		this.trust.note(decided);
		if (decision.action !== 'run') await this.builds?.finish();
		else if (await this.builds?.take(decided)) return;
		this.executor.created.note(decided.sql, decided.head);
		switch (decision.action) {
			case 'run':
				this.batch.add(decided);
				if (this.batch.isFull || !this.session.isUtf8) await this.batch.flush();
				return;
			case 'copy':
				await this.batch.finish();
				return await this.executor.copy(decided);
			case 'drop':
				return await this.alone(async () => void (await this.executor.tolerating(decided, OBJECT_MISSING)));
			case 'alone':
				if (setsSession(decided)) this.options.connections?.remember(decided.sql);
				return await this.alone(() => this.executor.runBatch([decided]));
		}
	}

	/** Makes a setting that was held back until something needs it. */
	private async place(setting: SqlStatement): Promise<void> {
		const decision = this.rules.decide(setting);
		if (decision.action === 'skip') return;
		await this.alone(() => this.executor.runBatch([{ ...setting, sql: decision.sql }]));
	}

	/** Runs a statement by itself, after which the lexer knows the session's settings. */
	private async alone(run: () => Promise<void>): Promise<void> {
		await this.batch.finish();
		await run();
		this.session.applyTo(this.executor.script.lexer);
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
