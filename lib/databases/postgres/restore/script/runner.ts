import { Readable } from 'node:stream';

import type { Client } from 'pg';

import type { EngineContext } from '../../../engine';
import type { LifeboatError } from '../../../../errors';
import { wireOf } from '../../connection';

import { buildStatement, mayWaitForBuilds } from '../builds/build-statement';
import { CreatedTables } from './created-tables';
import { serverErrorOf, statementError, type FailedStatement, type RestoreSetting } from '../errors';
import { ParallelBuild, type Connections } from '../builds/parallel-build';
import { mergeCopy } from '../parts/merge-copy';
import type { PartialRestore } from '../parts/partial';
import type { LoadedRows } from '../row-counts';
import { RestoreRules, summarize, type RuleOptions } from '../rules/rules';
import { SqlLexer, type SqlStatement } from '../sql/lexer';
import { nameAt, tokensOf } from '../sql/statement';
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

/** Statements after which the rows in the tables are those that COPY and INSERT have counted. */
const keepsRowCounts = new Set(
	'CREATE ALTER COMMENT GRANT REVOKE SECURITY REFRESH ANALYZE SET RESET COPY INSERT DROP'.split(' '),
);

/** What a CREATE answers whose object is there: table, object, function, schema. */
const objectExists = /^(?:42P07|42710|42723|42P06)$/;

/** What a DROP answers whose object is not there: table, object, function, schema, column. */
const missingObject = /^(42P01|42704|42883|3F000|42703)$/;

/** Where a script comes from. */
export interface Script {
	lexer: SqlLexer;
	/** The rows of the COPY statement that was read last, where they don't follow it in the script. */
	takeRows?: () => AsyncIterable<Buffer> | undefined;
	/** Lines of the script mean something to the reader of an error. */
	hasLines?: boolean;
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
	private readonly result: ScriptResult = { statements: 0, warnings: [] };

	private batch: SqlStatement[] = [];

	private batchBytes = 0;

	private underWay: Promise<void> | undefined;

	private readonly parameters = new Map<string, string>();

	private readonly rules: RestoreRules;

	/** The step that progress reports name. */
	private step = 'reading the script';

	private script!: Script;

	private readonly created = new CreatedTables();

	private readonly builds: ParallelBuild | undefined;

	private inTransaction = true;

	/** Something ran that may have changed rows in ways that nobody counted. */
	rowsMayDiffer = false;

	constructor(
		private readonly client: Client,
		private readonly loaded: LoadedRows,
		private readonly setting: RestoreSetting,
		private readonly options: RuleOptions & {
			serverSettings: ReadonlySet<string>;
			tablesTotal?: number;
			bytesRead?: () => number;
			connections?: Connections | undefined;
			partial?: PartialRestore | undefined;
		},
		private readonly context: EngineContext,
	) {
		this.rules = new RestoreRules(options, setting.database, options.serverSettings);
		if (options.connections) {
			this.builds = new ParallelBuild(
				options.connections,
				async (worker, statement) => this.buildOn(worker, statement),
				(table) => this.loaded.bytesOf(table),
			);
		}
		wireOf(client).on('parameterStatus', (message: { parameterName: string; parameterValue: string }) => {
			this.parameters.set(message.parameterName, message.parameterValue);
		});
	}

	private get lexer(): SqlLexer {
		return this.script.lexer;
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
			this.noteNotice(notice);
		this.client.on('notice', noteNotice);
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
			await this.finishBuilds();
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

	/** Makes visible to other connections what was done so far. */
	async commit(): Promise<void> {
		await this.flush();
		await this.settle();
		if (!this.inTransaction) return;
		await runRaw(this.client, [Buffer.from('COMMIT')]);
		this.inTransaction = false;
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

	/** Hands over what builds indexes or constraints. @returns false for other statements, before which all that is built is done. */
	private async build(statement: SqlStatement): Promise<boolean> {
		const { builds } = this;
		if (!builds) return false;
		const build = buildStatement(statement);
		if (!build) {
			if (builds.kind !== undefined && mayWaitForBuilds(statement)) {
				builds.postpone(statement);
				return true;
			}
			await this.finishBuilds();
			return false;
		}
		if (builds.kind !== undefined && builds.kind !== build.kind) await this.finishBuilds();
		await this.commit();
		this.step = 'building indexes and constraints';
		this.report();
		builds.add(statement, build);
		return true;
	}

	/**
	 * Takes what builds an index or a key of a table whose rows are in, while those of other tables are being loaded.
	 *
	 * @returns whether it was taken; else it has to be run in its turn.
	 */
	async buildEarly(text: Buffer): Promise<boolean> {
		const { builds } = this;
		if (!builds || this.options.partial) return false;
		const lexer = new SqlLexer(Readable.from([text]));
		this.adopt(lexer);
		const statement = await lexer.next();
		if (statement?.kind !== 'statement' || (await lexer.next())) return false;
		const decision = this.rules.decide(statement);
		if (decision.action !== 'run') return false;
		const decided = { ...statement, sql: decision.sql };
		const build = buildStatement(decided);
		if (build?.kind !== 'index') return false;
		builds.add(decided, build);
		return true;
	}

	/** To be told when a connection has become free: what was taken early goes on. */
	goOnBuilding(): void {
		if (this.builds?.kind === undefined) return;
		this.step = 'building indexes and constraints';
		this.report();
		this.builds.start();
	}

	private async finishBuilds(): Promise<void> {
		if (!this.builds) return;
		const postponed = await this.builds.drain();
		await this.begin();
		for (const statement of postponed) this.batch.push(statement);
		if (postponed.length > 0) await this.flush();
	}

	private async buildOn(worker: Client, statement: SqlStatement): Promise<void> {
		try {
			await runRaw(worker, [statement.sql]);
			this.result.statements += 1;
		} catch (error) {
			throw this.failure(error, statement);
		}
	}

	private async statement(statement: SqlStatement): Promise<void> {
		const { partial } = this.options;
		const part = partial?.decide(statement) ?? 'run';
		if (part === 'skip') {
			if (statement.hasCopyData) for await (const chunk of this.rowsOf()) void chunk;
			return;
		}
		if (partial?.keepsBack(statement)) return;
		const decision = this.rules.decide(statement);
		if (decision.action === 'skip') {
			if (decision.warning) this.warn(decision.warning);
			return;
		}
		for (const setting of partial?.settingsFor(statement) ?? []) await this.place(setting);
		if (part === 'attempt') {
			await this.alone(async () => this.attempt({ ...statement, sql: decision.sql }));
			return;
		}
		const decided = { ...statement, sql: decision.sql };
		if (!keepsRowCounts.has(statement.head[0] ?? '') && !isSetval(statement)) this.rowsMayDiffer = true;
		// What fires when rows are loaded may do anything.
		if (/^CREATE (?:OR REPLACE )?(?:CONSTRAINT )?(?:TRIGGER|RULE|EVENT)/.test(statement.head.join(' ')))
			this.hasTriggers = true;
		if (decision.action !== 'run') await this.finishBuilds();
		else if (await this.build(decided)) return;
		this.created.note(decided.sql, decided.head);
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
		this.adopt(this.lexer);
	}

	/** Tells a lexer the session's settings. */
	private adopt(lexer: SqlLexer): void {
		const conforming = this.parameters.get('standard_conforming_strings');
		if (conforming !== undefined) lexer.standardConformingStrings = conforming === 'on';
		const encoding = this.parameters.get('client_encoding');
		if (encoding !== undefined) lexer.encoding = encoding;
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

	/** Runs a statement that creates something, unless that is there already. */
	private async attempt(statement: SqlStatement): Promise<void> {
		await runRaw(this.client, [Buffer.from('SAVEPOINT lifeboat_attempt')]);
		try {
			await runRaw(this.client, [statement.sql]);
			this.result.statements += 1;
		} catch (error) {
			if (!objectExists.test(serverErrorOf(error)?.code ?? '')) throw this.failure(error, statement);
			await runRaw(this.client, [Buffer.from('ROLLBACK TO SAVEPOINT lifeboat_attempt')]);
			this.options.partial?.keep(statement.object);
		}
		await runRaw(this.client, [Buffer.from('RELEASE SAVEPOINT lifeboat_attempt')]);
	}

	/** The rows of the COPY statement that was read last. */
	private rowsOf(): AsyncIterable<Buffer> {
		return this.script.takeRows?.() ?? this.lexer.copyData();
	}

	private async copy(statement: SqlStatement): Promise<void> {
		await this.flush();
		await this.settle();
		const table = nameAt(tokensOf(statement.sql, 8), 1);
		if (this.hasTriggers) this.rowsMayDiffer = true;
		const { hasLines = true } = this.script;
		const firstRowLine = hasLines ? this.lexer.nextLine : undefined;
		this.step = table
			? `rows of ${table.schema === undefined ? '' : `${table.schema}.`}${table.name}`
			: 'rows';
		this.report();
		try {
			let bytes = 0;
			const onBytes = (count: number) => {
				bytes += count;
				this.report();
			};
			const key = this.options.partial?.mergeKey(table);
			if (table && key) {
				const { rows, added } = await mergeCopy(this.client, statement.sql, key, this.rowsOf(), onBytes);
				this.loaded.add(table.schema, table.name, rows, bytes);
				this.loaded.keep(table.schema, table.name, rows - added);
			} else {
				const sql = this.created.freeze(statement.sql, table);
				const rows = await copyRaw(this.client, sql, this.rowsOf(), onBytes);
				if (table) this.loaded.add(table.schema, table.name, rows, bytes);
			}
			this.result.statements += 1;
		} catch (error) {
			throw this.failureOf(error, { ...statement, firstRowLine });
		}
	}

	private hasTriggers = false;

	private failure(error: unknown, statement: FailedStatement): LifeboatError {
		const dumpedFrom = this.lexer.comments.serverVersion;
		return statementError(error, statement, { ...this.setting, dumpedFrom });
	}

	/** Positions in a message of several statements are told in characters: only in UTF-8 are they counted here. */
	private get isUtf8(): boolean {
		return (this.parameters.get('client_encoding') ?? 'UTF8') === 'UTF8';
	}

	private report(): void {
		const { tablesTotal, bytesRead } = this.options;
		this.context.onProgress?.({
			step: this.step,
			bytes: bytesRead?.() ?? this.lexer.position,
			tablesDone: this.loaded.tables,
			...(tablesTotal === undefined ? {} : { tablesTotal }),
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

/** Whether a statement changes what those behind it mean, on every connection. */
function setsSession({ sql, head }: SqlStatement): boolean {
	return (
		head[0] === 'SET' ||
		head[0] === 'RESET' ||
		/^SELECT pg_catalog\.set_config\(/.test(sql.toString('latin1', 0, 40))
	);
}

function isSetval({ sql }: SqlStatement): boolean {
	return /^SELECT pg_catalog\.(?:setval|set_config|lo_\w+|lowrite)\(/.test(sql.toString('latin1', 0, 60));
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
