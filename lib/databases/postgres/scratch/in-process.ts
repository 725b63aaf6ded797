import { mkdtemp, rm } from 'node:fs/promises';
import path from 'node:path';

import type { Client } from 'pg';

import { LifeboatError } from '../../../errors';
import type { EngineContext } from '../../engine';
import type { RestoreCheck, RestoreTestFindings, RestoreTestRequest, ScratchDatabase } from '../../scratch';
import { connectPostgres, type PostgresConnection } from '../connection';
import { quoteIdentifier } from '../identifiers';
import { restoreGlobals, type GlobalsReport } from '../restore/globals';
import { restorePostgres } from '../restore/restore';
import { runSqlChecks } from '../restore/sql-checks';

import { compareRestored } from './checks';
import { readNeeds, type DumpNeeds } from './needs';
import { asNotTestable } from './not-testable';
import { pgliteExtension, startPglite, type PgliteThread } from './pglite-thread';

const HINT = 'Test the restore on a server instead (Restore Into: Scratch Database on a Server)';

/**
 * A PostgreSQL in a thread of this process, started for each test: needs no server. It brings the extensions that come with
 * PGlite, and the roles that a dump names are created in it. It keeps its data in files, not in memory.
 */
export function inProcessScratch(options: {
	/** A folder in which a new one may be made for the data: about as large as the database, and 50 MB. */
	folder: string;
	/** Called when it is up, before anything is restored. */
	onStart?: (thread: PgliteThread) => void;
}): ScratchDatabase {
	return {
		engine: 'postgresql',
		takesGlobals: true,
		async test(request, context = {}) {
			const { signal } = context;
			const needs = await readNeeds(await request.open(signal));
			assertTestable(needs);
			const folder = await mkdtemp(path.join(options.folder, 'restore-test-'));
			let thread: PgliteThread | undefined;
			// It can't be told to stop what it is at: only its end does that.
			const stop = () => void thread?.end();
			signal?.addEventListener('abort', stop, { once: true });
			try {
				const extensions = [...needs.extensions].filter((name) => pgliteExtension(name) !== undefined);
				const encoding = needs.encoding === 'SQL_ASCII' ? 'SQL_ASCII' : 'UTF8';
				thread = await startPglite(folder, { extensions, encoding }, signal);
				options.onStart?.(thread);
				return await testIn(thread, needs, request, context);
			} catch (error) {
				signal?.throwIfAborted();
				// Whatever broke first on this side, it is the thread's end that broke it.
				throw (
					thread?.failure ??
					asNotTestable(error, request, {
						...{ what: 'the PostgreSQL inside n8n', hint: HINT },
						...{ version: thread?.version, needs },
					})
				);
			} finally {
				signal?.removeEventListener('abort', stop);
				await thread?.end();
				await rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
			}
		},
	};
}

/** @throws LifeboatError `NOT_TESTABLE` before anything is restored, for what is known to be missing. */
function assertTestable({ extensions, subscriptions }: DumpNeeds): void {
	const missing = [...extensions].filter((name) => !isAvailable(name)).map((name) => `extension ${name}`);
	const lacks = [
		...missing,
		...[...subscriptions].map((name) => `subscriptions, such as ${name}`).slice(0, 1),
	];
	if (lacks.length === 0) return;
	throw new LifeboatError(
		'NOT_TESTABLE',
		`The backup can't be tested in process: the PostgreSQL there lacks ${lacks.join(', ')}`,
		{ hint: HINT },
	);
}

function isAvailable(extension: string): boolean {
	return extension === 'plpgsql' || pgliteExtension(extension) !== undefined;
}

async function testIn(
	thread: PgliteThread,
	needs: DumpNeeds,
	request: RestoreTestRequest,
	context: EngineContext,
): Promise<RestoreTestFindings> {
	const { connection, version } = thread;
	await withClient(connection, async (client) => {
		await createTablespaces(client, needs.tablespaces);
		// Roles of its own are what a backup of roles is tested for.
		if (!needs.isGlobals) await createRoles(client, needs.roles);
	});
	const started = performance.now();
	const { tables } = request.manifest;
	const options = { metaCommands: 'skip-connect' as const, ...(tables && { expectedTables: tables }) };
	const restored = needs.isGlobals
		? await restoreGlobals(connection, request.open, context)
		: await restorePostgres(connection, request.open, options, context);
	const recoveryTime = Math.round(performance.now() - started);
	return await withClient(connection, async (client) => {
		const checks =
			'roles' in restored
				? [await rolesCheck(client, restored)]
				: await compareRestored(client, request, restored, needs);
		const asked = await runSqlChecks(client, request.sqlChecks ?? [], {
			timeoutMs: request.checkTimeoutMs,
			// It has no clock of its own: only its end stops a query.
			giveUp: () => void thread.end(),
			signal: context.signal,
		});
		const method = `PostgreSQL ${version} in process`;
		const warnings = 'roles' in restored ? globalsWarnings(restored) : restored.warnings;
		return { method, recoveryTime, checks: [...checks, ...asked], warnings };
	});
}

async function createRoles(client: Client, roles: ReadonlySet<string>): Promise<void> {
	const { rows } = await client.query<{ name: string }>(
		'SELECT rolname::text AS name FROM pg_catalog.pg_roles',
	);
	const there = new Set(rows.map(({ name }) => name));
	for (const role of roles) {
		if (!there.has(role)) await client.query(`CREATE ROLE ${quoteIdentifier(role)}`);
	}
}

/** Within the folder of the server itself: where they lay before is of no account for a test. */
async function createTablespaces(client: Client, tablespaces: ReadonlySet<string>): Promise<void> {
	await client.query('SET allow_in_place_tablespaces = on');
	for (const tablespace of tablespaces) {
		if (tablespace === 'pg_default') continue;
		await client.query(`CREATE TABLESPACE ${quoteIdentifier(tablespace)} LOCATION ''`);
	}
}

/** The roles that the restore says it made are there. */
async function rolesCheck(client: Client, { roles, keptRoles }: GlobalsReport): Promise<RestoreCheck> {
	const { rows } = await client.query<{ name: string }>(
		'SELECT rolname::text AS name FROM pg_catalog.pg_roles',
	);
	const there = new Set(rows.map(({ name }) => name));
	const missing = [...roles, ...keptRoles].filter((role) => !there.has(role));
	return {
		name: 'Roles',
		passed: missing.length === 0,
		detail:
			missing.length === 0
				? `${roles.length + keptRoles.length} roles are there`
				: `missing: ${missing.slice(0, 5).join(', ')}`,
	};
}

function globalsWarnings({ keptTablespaces }: GlobalsReport): string[] {
	if (keptTablespaces.length === 0) return [];
	return [
		`Tablespaces were not tested, since they need folders of a server of its own: ${keptTablespaces.join(', ')}`,
	];
}

async function withClient<Result>(
	connection: PostgresConnection,
	use: (client: Client) => Promise<Result>,
): Promise<Result> {
	const client = await connectPostgres(connection, { applicationName: 'lifeboat restore test' });
	try {
		return await use(client);
	} finally {
		await client.end();
	}
}
