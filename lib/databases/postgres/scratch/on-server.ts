import type { Client } from 'pg';

import { LifeboatError, messageOf } from '../../../errors';
import type { EngineContext } from '../../engine';
import type { RestoreTestFindings, RestoreTestRequest, ScratchDatabase } from '../../scratch';
import { connectPostgres, dropConnection, postgresError, type PostgresConnection } from '../connection';
import { quoteIdentifier } from '../identifiers';
import { restorePostgres } from '../restore/restore';
import { runSqlChecks } from '../restore/sql-checks';

import { compareRestored } from './checks';
import { leftByOthers, scratchName } from './names';
import { readNeeds, type DumpNeeds } from './needs';
import { asNotTestable } from './not-testable';

export interface ServerScratchOptions {
	/** The database to connect to while the scratch database is made and dropped: `postgres` unless given. */
	maintenanceDatabase?: string;
	/** Restore owners and privileges, too: the server must then have all the roles. */
	withOwners?: boolean;
	now?: Date;
}

/** A database on a server, made for each test under a name of its own, and dropped afterwards whatever happened. */
export function serverScratch(
	server: PostgresConnection,
	{ now = new Date(), withOwners = false, ...options }: ServerScratchOptions = {},
): ScratchDatabase {
	return {
		engine: 'postgresql',
		// Roles belong to the whole server: a test must change none of them.
		takesGlobals: false,
		async test(request, context = {}) {
			const database = scratchName(now);
			const scratch = { ...server, database };
			const restoreOptions = { ...options, noOwner: !withOwners, noPrivileges: !withOwners };
			const needs = await readNeeds(await request.open(context.signal));
			if (needs.isGlobals) throw globalsRefused();
			const version = await versionOf(server, options, context);
			let findings: RestoreTestFindings;
			try {
				findings = await testOn(scratch, { ...restoreOptions, version }, request, needs, context);
			} catch (error) {
				const left = await drop(scratch, options);
				throw asNotTestable(withLeftover(error, left), request, { what: 'the server', version, needs });
			}
			const left = await drop(scratch, options);
			const warnings = [...findings.warnings, ...(left === undefined ? [] : [left])];
			const others = await leftByOthers(
				{ ...server, database: options.maintenanceDatabase ?? 'postgres' },
				now,
			).catch((error: unknown) => [
				`Whether earlier tests have left databases is not known: ${messageOf(error)}`,
			]);
			return { ...findings, warnings: [...warnings, ...others] };
		},
	};
}

async function testOn(
	scratch: PostgresConnection,
	{
		version,
		...options
	}: {
		maintenanceDatabase?: string;
		noOwner: boolean;
		noPrivileges: boolean;
		version: string | undefined;
	},
	request: RestoreTestRequest,
	needs: DumpNeeds,
	context: EngineContext,
): Promise<RestoreTestFindings> {
	const { signal } = context;
	const started = performance.now();
	const { tables, source } = request.manifest;
	const locale = source?.type === 'database' ? source.locale : undefined;
	const report = await restorePostgres(
		scratch,
		request.open,
		{
			...options,
			target: { kind: 'new' },
			// Nobody but the test uses it, and a limit or a setting might stop even that.
			databaseProperties: 'target',
			metaCommands: 'skip-connect',
			...(tables && { expectedTables: tables }),
			...(locale && { locale }),
		},
		context,
	);
	const recoveryTime = Math.round(performance.now() - started);
	const applicationName = 'lifeboat restore test';
	const client = await connectPostgres(scratch, { applicationName, ...(signal && { signal }) });
	try {
		const checks = await compareRestored(client, request, report, needs);
		const asked = await runSqlChecks(client, request.sqlChecks ?? [], {
			timeoutMs: request.checkTimeoutMs,
			giveUp: () => dropConnection(client),
			signal,
		});
		signal?.throwIfAborted();
		const method = `scratch database on a PostgreSQL ${version} server`;
		return { method, recoveryTime, checks: [...checks, ...asked], warnings: report.warnings };
	} catch (error) {
		throw postgresError(signal?.aborted ? signal.reason : error, `looking at database ${scratch.database}`);
	} finally {
		await client.end();
	}
}

function globalsRefused(): LifeboatError {
	return new LifeboatError(
		'NOT_TESTABLE',
		'The backup holds roles and tablespaces of a whole server: to test it on a server would change the roles there',
		{ hint: 'Test its restore inside n8n instead (Restore Into: PostgreSQL Inside n8n)' },
	);
}

/** The server's version, such as `15.18`, asked before anything is done there. @throws LifeboatError as `connectPostgres`. */
async function versionOf(
	server: PostgresConnection,
	{ maintenanceDatabase = 'postgres' }: ServerScratchOptions,
	{ signal }: EngineContext,
): Promise<string | undefined> {
	const parameters = new Map<string, string>();
	const database = { ...server, database: maintenanceDatabase };
	const client = await connectPostgres(database, { parameters, ...(signal && { signal }) });
	await client.end();
	return parameters.get('server_version')?.split(' ')[0];
}

/** Drops the scratch database, also after an abort. @returns what to tell if that failed. */
async function drop(
	scratch: PostgresConnection,
	{ maintenanceDatabase = 'postgres' }: ServerScratchOptions,
): Promise<string | undefined> {
	let admin: Client | undefined;
	try {
		admin = await connectPostgres({ ...scratch, database: maintenanceDatabase });
		const { rows } = await admin.query('SELECT FROM pg_catalog.pg_database WHERE datname = $1', [
			scratch.database,
		]);
		if (rows.length === 0) return undefined;
		await dropSubscriptions(scratch);
		await admin.query(`DROP DATABASE IF EXISTS ${quoteIdentifier(scratch.database)} WITH (FORCE)`);
		return undefined;
	} catch (error) {
		return `The scratch database ${scratch.database} could not be dropped: drop it by hand (${messageOf(error)})`;
	} finally {
		await admin?.end();
	}
}

/** A database with subscriptions can't be dropped. Those of a dump have never connected, so nothing is left at the publisher. */
async function dropSubscriptions(scratch: PostgresConnection): Promise<void> {
	const client = await connectPostgres(scratch);
	try {
		const { rows } = await client.query<{ name: string }>(
			`SELECT pg_catalog.quote_ident(subname) AS name FROM pg_catalog.pg_subscription
			WHERE subdbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())`,
		);
		for (const { name } of rows) {
			await client.query(`ALTER SUBSCRIPTION ${name} DISABLE`);
			await client.query(`ALTER SUBSCRIPTION ${name} SET (slot_name = NONE)`);
			await client.query(`DROP SUBSCRIPTION ${name}`);
		}
	} finally {
		await client.end();
	}
}

function withLeftover(error: unknown, left: string | undefined): unknown {
	if (left === undefined) return error;
	const known = postgresError(error, 'testing the restore');
	return new LifeboatError(known.code, `${known.message}. ${left}`, { hint: known.hint, cause: error });
}
