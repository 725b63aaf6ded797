import type { Readable } from 'node:stream';

import type { Client } from 'pg';

import { LifeboatError } from '../../../errors';
import { acceptOffer } from '../../../streams/neighbours';
import type { EngineContext, RestoreReport } from '../../engine';
import { readArchive } from '../archive/reader';
import type { ArchiveReader } from '../archive/types';
import { connectPostgres, type PostgresConnection } from '../connection';

import { runArchive } from './archive/run';
import { ArchiveSource } from './archive/script';
import { connectionsFor, type Connections } from './builds/connections';
import { detectFormat } from './content-format';
import { restoreDatabaseProperties } from './database-properties';
import { restoreError } from './errors';
import { analyze, checkAndCommit } from './finish';
import type { PostgresRestoreOptions } from './options';
import { contentsOf } from './parts/contents';
import { isPartial } from './parts/kinds';
import { PartialRestore } from './parts/partial';
import { LoadedRows } from './row-counts';
import { LockBudget } from './script/lock-budget';
import { ScriptRunner } from './script/runner';
import type { ScriptResult } from './script/script';
import { SqlLexer } from './sql/lexer';
import { assertWhole, beginRestore, rollBackRestore } from './transaction';

type Open = (signal?: AbortSignal) => Promise<Readable>;

/**
 * Loads a dump into the database of a connection, and makes it visible once all of it is there and was checked.
 *
 * @param replaces the database whose place it takes in the end: messages name that one.
 * @throws LifeboatError as `restorePostgres`.
 */
export async function fillDatabase(
	connection: PostgresConnection,
	open: Open,
	options: PostgresRestoreOptions,
	context: EngineContext,
	replaces = connection.database,
): Promise<RestoreReport> {
	const { signal } = context;
	const client = await connectPostgres(connection, {
		...(signal && { signal }),
		applicationName: 'lifeboat restore',
	});
	try {
		return await fillOver(client, connection, replaces, open, options, context);
	} finally {
		await client.end();
	}
}

async function fillOver(
	client: Client,
	connection: PostgresConnection,
	database: string,
	open: Open,
	options: PostgresRestoreOptions,
	context: EngineContext,
): Promise<RestoreReport> {
	const source = await open(context.signal);
	// Whoever reads the source is told; while nobody does, its failure must not end the process.
	source.on('error', () => undefined);
	const stopReading = () => source.destroy(asError(context.signal?.reason));
	context.signal?.addEventListener('abort', stopReading, { once: true });
	const parallel =
		options.target && options.target.kind !== 'existing' ? (options.parallelConnections ?? 1) : 1;
	const giveBack = acceptOffer(source)?.giveBack;
	let archive: ArchiveReader | undefined;
	let connections: Connections | undefined;
	try {
		const isPart = isPartial(options);
		if (isPart && options.target?.kind === 'swap') throw partOfSwap();
		// Into what is there, all that the backup holds has to be known before anything happens.
		const contents = isPart ? await contentsOf(open, context) : undefined;
		const { partial, ...begun } = await begin(client, database, contents, {
			...options,
			parallelConnections: parallel,
		});
		const { format, bytes } = await detectFormat(source);
		if (options.only && format !== 'pg-custom') throw partsOfPlainSql();
		archive = format === 'pg-custom' ? await readArchive(bytes) : undefined;
		if (parallel > 1) connections = connectionsFor(connection, parallel, options, context);
		const loaded = new LoadedRows();
		const expectedTables = options.expectedTables?.filter((table) => !partial || partial.loads(table));
		const from = archive
			? new ArchiveSource(archive, options.only, partial && ((id, what) => partial.wants(id, what)), isPart)
			: new SqlLexer(bytes);
		const { serverSettings } = begun;
		const runner = new ScriptRunner(
			client,
			loaded,
			{ database, serverVersion: serverSettings.get('server_version') ?? '' },
			{
				...options,
				into: connection.database,
				serverSettings: new Set(serverSettings.keys()),
				...(expectedTables && { tablesTotal: expectedTables.length }),
				bytesRead: () => from.position,
				...{ connections, partial, giveBack },
				// Nobody sees a database that is being filled: what fails is dropped.
				...(options.target &&
					options.target.kind !== 'existing' &&
					!partial && { locks: new LockBudget(serverSettings) }),
			},
			context,
		);
		const script: ScriptResult & { bytes?: number } =
			from instanceof ArchiveSource
				? await runArchive(runner, from, {
						...{ connections, loaded, context },
						open: async () => open(context.signal),
					})
				: await runner.run({ lexer: from });
		if (from instanceof SqlLexer) assertWhole(from);
		await runner.begin();
		const about = options.databaseProperties === 'backup' ? propertiesIn(from) : undefined;
		const names = { into: connection.database, replaces: database };
		const left = about ? await restoreDatabaseProperties(client, about, names, options) : [];
		const report = await checkAndCommit(
			client,
			{ database, loaded, partial, rowsMayDiffer: runner.rowsMayDiffer },
			{ ...options, ...(expectedTables && { expectedTables }) },
			context,
		);
		return {
			...report,
			...{ statements: script.statements, bytes: script.bytes ?? from.position },
			warnings: [
				...begun.warnings,
				...(partial?.warnings ?? []),
				...[...script.warnings, ...left],
				...(options.analyze ? await analyze(client) : []),
			],
		};
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

/** Opens the transaction, and prepares what is there for a restore of parts or into it. */
async function begin(
	client: Client,
	database: string,
	contents: Awaited<ReturnType<typeof contentsOf>> | undefined,
	options: PostgresRestoreOptions,
): Promise<Awaited<ReturnType<typeof beginRestore>> & { partial: PartialRestore | undefined }> {
	try {
		const begun = await beginRestore(client, database, options);
		const partial = contents && new PartialRestore(client, contents, options);
		await partial?.prepare();
		return { ...begun, partial };
	} catch (error) {
		throw restoreError(error, `restoring database ${database}`);
	}
}

/** The statements about the database as a whole, in the script's encoding; undefined where it has none. */
function propertiesIn(from: ArchiveSource | SqlLexer): Buffer | undefined {
	const statements =
		from instanceof ArchiveSource
			? from.databaseProperties()
			: Buffer.from(from.comments.databaseProperties ?? '', 'latin1');
	return statements.length > 0 ? statements : undefined;
}

function partOfSwap(): LifeboatError {
	return new LifeboatError('INVALID_OPTION', 'A part of a backup cannot take the place of a whole database', {
		hint: 'Restore the part into the existing database, or into a new one',
	});
}

function partsOfPlainSql(): LifeboatError {
	return new LifeboatError('INVALID_OPTION', 'Parts to restore were chosen, but the backup is plain SQL', {
		hint: 'Restore all of it, or take backups in the custom format, of which parts can be restored',
	});
}

function asError(reason: unknown): Error {
	return reason instanceof Error ? reason : new Error('cancelled');
}
