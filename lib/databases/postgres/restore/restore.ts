import type { Readable } from 'node:stream';

import type { Client } from 'pg';

import { LifeboatError } from '../../../errors';
import type { EngineContext, RestoreReport } from '../../engine';
import { readArchive } from '../archive/reader';
import type { ArchiveReader } from '../archive/types';
import { connectPostgres, postgresError, type PostgresConnection } from '../connection';

import { ArchiveSource, type ScriptPart } from './archive/script';
import { loadTables, tablesToLoad, type LoadTables } from './archive/tables';
import { detectFormat } from './content-format';
import { restoreError } from './errors';
import { inspectContents, type DatabaseContents } from './target/inspect';
import { Connections } from './builds/parallel-build';
import { isPartial, PartialRestore } from './parts/partial';
import { ScriptRunner, type ScriptResult } from './script/runner';
import type { PostgresRestoreOptions } from './options';
import { LoadedRows } from './row-counts';
import { contentsOf } from './parts/contents';
import { verifySequences } from './sequence-values';
import { prepareSession } from './session';
import { SqlLexer } from './sql/lexer';
import { fillAndSwap, fillNewDatabase } from './target/target';
import { assertWhole, beginRestore, checkLoaded, commitRestore, rollBackRestore } from './transaction';
import { runRaw } from './script/wire';

export type { PostgresRestoreOptions } from './options';

/**
 * Loads a dump into an existing database, a new one, or in the place of one. All of it is there afterwards, or the target
 * is as it was: into an existing database the restore is one transaction, otherwise the unfinished one is dropped.
 *
 * @throws LifeboatError among others `NOT_EMPTY`, `DATABASE_EXISTS`, `STATEMENT_FAILED`, `ROLE_MISSING`,
 * `ROW_COUNT_MISMATCH`, `INCOMPLETE`, `META_COMMAND_REFUSED`, `CONNECTION_LOST`, `CANCELLED`.
 */
export async function restorePostgres(
	connection: PostgresConnection,
	open: (signal?: AbortSignal) => Promise<Readable>,
	options: PostgresRestoreOptions = {},
	context: EngineContext = {},
): Promise<RestoreReport> {
	const { target = { kind: 'existing' } } = options;
	const fill = (to: PostgresConnection) =>
		restoreInto(to, open, { ...options, ...(target.kind !== 'existing' && { ifNotEmpty: 'stop' }) }, context);
	try {
		switch (target.kind) {
			case 'existing':
				return await fill(connection);
			case 'new': {
				const { result, warnings } = await fillNewDatabase(connection, options, context, fill);
				return { ...result, warnings: [...warnings, ...result.warnings] };
			}
			case 'swap': {
				const { result, keptAs, warnings } = await fillAndSwap(connection, target, options, context, fill);
				return {
					...result,
					database: connection.database,
					...(keptAs !== undefined && { keptAs }),
					warnings: [...result.warnings, ...warnings],
				};
			}
		}
	} catch (error) {
		// Whatever the abort broke first (the source, the socket, the query): it is the abort that ended the restore.
		const { signal } = context;
		if (signal?.aborted) throw postgresError(signal.reason, `restoring database ${connection.database}`);
		throw error;
	}
}

async function restoreInto(
	connection: PostgresConnection,
	open: (signal?: AbortSignal) => Promise<Readable>,
	options: PostgresRestoreOptions,
	context: EngineContext,
): Promise<RestoreReport> {
	const { signal } = context;
	const client = await connectPostgres(connection, {
		...(signal && { signal }),
		applicationName: 'lifeboat restore',
	});
	try {
		return await restoreOver(client, connection, open, options, context);
	} finally {
		await client.end();
	}
}

/** What is in a database, for a look before a restore. */
export async function inspectDatabase(
	connection: PostgresConnection,
	{ signal }: Pick<EngineContext, 'signal'> = {},
): Promise<DatabaseContents> {
	const client = await connectPostgres(connection, {
		...(signal && { signal }),
		applicationName: 'lifeboat restore',
	});
	try {
		return await inspectContents(client);
	} catch (error) {
		throw postgresError(error, `looking into database ${connection.database}`);
	} finally {
		await client.end();
	}
}

async function restoreOver(
	client: Client,
	connection: PostgresConnection,
	open: (signal?: AbortSignal) => Promise<Readable>,
	options: PostgresRestoreOptions,
	context: EngineContext,
): Promise<RestoreReport> {
	const { database } = connection;
	const doing = `restoring database ${database}`;
	const source = await open(context.signal);
	// Whoever reads the source is told; while nobody does, its failure must not end the process.
	source.on('error', () => undefined);
	const stopReading = () => source.destroy(asError(context.signal?.reason));
	context.signal?.addEventListener('abort', stopReading, { once: true });
	const parallel =
		options.target && options.target.kind !== 'existing' ? (options.parallelConnections ?? 1) : 1;
	let archive: ArchiveReader | undefined;
	let connections: Connections | undefined;
	try {
		const isPart = isPartial(options);
		if (isPart && options.target?.kind === 'swap') throw partOfSwap();
		// Into what is there, all that the backup holds has to be known before anything happens.
		const contents = isPart ? await contentsOf(open, context) : undefined;
		const begun = await beginRestore(client, database, { ...options, parallelConnections: parallel }).catch(
			(error: unknown) => {
				throw restoreError(error, doing);
			},
		);
		const { serverSettings } = begun;
		const partial = contents && new PartialRestore(client, contents, options);
		await partial?.prepare().catch((error: unknown) => {
			throw restoreError(error, doing);
		});
		const { format, bytes } = await detectFormat(source);
		if (options.only && format !== 'pg-custom') {
			throw new LifeboatError('INVALID_OPTION', 'Parts to restore were chosen, but the backup is plain SQL', {
				hint: 'Restore all of it, or take backups in the custom format, of which parts can be restored',
			});
		}
		archive = format === 'pg-custom' ? await readArchive(bytes) : undefined;
		if (parallel > 1) connections = connectionsFor(connection, parallel, options, context);
		const loaded = new LoadedRows();
		const expectedTables = options.expectedTables?.filter((table) => !partial || partial.loads(table));
		const from = archive
			? new ArchiveSource(archive, options.only, partial && ((id, what) => partial.wants(id, what)), isPart)
			: new SqlLexer(bytes);
		const runner = new ScriptRunner(
			client,
			loaded,
			{ database, serverVersion: serverSettings.get('server_version') ?? '' },
			{
				...options,
				serverSettings: new Set(serverSettings.keys()),
				...(expectedTables && { tablesTotal: expectedTables.length }),
				bytesRead: () => from.position,
				...{ connections, partial },
			},
			context,
		);
		const script: ScriptResult & { bytes?: number } =
			from instanceof ArchiveSource
				? await runArchive(runner, from, {
						open: async () => open(context.signal),
						connections,
						loaded,
						context,
					})
				: await runner.run({ lexer: from });
		if (from instanceof SqlLexer) assertWhole(from);
		try {
			const merges = options.ifNotEmpty === 'merge';
			const checked = { ...options, expectedTables };
			const tables = await checkLoaded(
				client,
				database,
				loaded,
				checked,
				context,
				merges || !runner.rowsMayDiffer,
				partial,
			);
			const sequences = options.expectedSequences?.filter((each) => !partial || partial.makesSequence(each));
			const compared = options.only ? undefined : sequences;
			if (compared) await verifySequences(client, database, compared);
			await partial?.rename();
			await commitRestore(client, database);
			const warnings = [
				...begun.warnings,
				...(partial?.warnings ?? []),
				...script.warnings,
				...(options.analyze ? await analyze(client) : []),
			];
			return {
				...{ database, statements: script.statements, bytes: script.bytes ?? from.position, warnings },
				...(compared && { sequences: compared.length }),
				tables: tables.map((table) => ({
					...table,
					schema: partial?.finalSchema(table.schema) ?? table.schema,
					rows: table.rows - loaded.keptOf(table.schema, table.name),
				})),
				...(merges && { keptRows: loaded.keptRows }),
			};
		} catch (error) {
			throw restoreError(error, doing);
		}
	} catch (error) {
		await rollBackRestore(client);
		throw error;
	} finally {
		context.signal?.removeEventListener('abort', stopReading);
		await connections?.close();
		source.destroy();
		// What ended the reading has been told, or it was read to its end.
		await archive?.close().catch(() => undefined);
	}
}

function partOfSwap(): LifeboatError {
	return new LifeboatError('INVALID_OPTION', 'A part of a backup cannot take the place of a whole database', {
		hint: 'Restore the part into the existing database, or into a new one',
	});
}

/** Connections besides the first, into the database that is being filled. */
function connectionsFor(
	connection: PostgresConnection,
	limit: number,
	{ lockTimeoutMs }: PostgresRestoreOptions,
	{ signal }: EngineContext,
): Connections {
	const open = async () => {
		const client = await connectPostgres(connection, {
			...(signal && { signal }),
			applicationName: 'lifeboat restore',
		});
		await prepareSession(client, {
			connections: limit,
			...(lockTimeoutMs !== undefined && { lockTimeoutMs }),
		});
		// The last commit of the restore waits until all before it is on disk.
		await client.query('SET synchronous_commit = off');
		return client;
	};
	return new Connections(limit, open, runRaw);
}

/** With several connections, the rows of tables are loaded by those; all else by the first. */
async function runArchive(
	runner: ScriptRunner,
	source: ArchiveSource,
	job: Pick<LoadTables, 'open' | 'loaded' | 'context'> & { connections: Connections | undefined },
): Promise<ScriptResult & { bytes?: number }> {
	const part = (name: ScriptPart, ...done: ReadonlySet<number>[]) => ({
		lexer: new SqlLexer(source.script(name, ...done)),
		takeRows: () => source.takeRows(),
		hasLines: false,
	});
	const { connections } = job;
	const tables = connections ? tablesToLoad(source.selected) : [];
	if (!connections || tables.length < 2) return await runner.run(part('all'));
	await runner.run(part('before rows'));
	await runner.commit();
	const early = source.earlyBuilds();
	const built = new Set<number>();
	const bytes = await loadTables(tables, {
		...job,
		connections,
		selected: source.selected,
		failureOf: (error, statement) => runner.failureOf(error, statement),
		onLoaded: async (table) => {
			for (const entry of early.loaded(table)) {
				const text = source.statementsOf(entry);
				if (text && (await runner.buildEarly(text))) built.add(entry.dumpId);
			}
		},
		onFree: () => runner.goOnBuilding(),
	});
	await runner.begin();
	const result = await runner.run(part('behind', new Set(tables.map(({ dumpId }) => dumpId)), built));
	return { ...result, bytes: Math.max(bytes, source.position) };
}

/** Whether it works or not, the restore is done by now. @returns warnings */
async function analyze(client: Client): Promise<string[]> {
	try {
		await client.query('ANALYZE');
		return [];
	} catch (error) {
		return [postgresError(error, 'collecting statistics after the restore').message];
	}
}

function asError(reason: unknown): Error {
	return reason instanceof Error ? reason : new Error('cancelled');
}
