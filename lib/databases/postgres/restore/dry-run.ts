import type { Readable } from 'node:stream';

import type { Client } from 'pg';

import type { EngineContext } from '../../engine';
import { LifeboatError } from '../../../errors';
import { connectPostgres, postgresError, type PostgresConnection } from '../connection';
import { quoteQualified } from '../identifiers';

import { databaseExists } from './target/create-like';
import { inspectContents, summarizeContents } from './target/inspect';
import type { PostgresRestoreOptions } from './options';
import { isPartial } from './parts/kinds';
import { selectParts } from './parts/parts';
import { contentsOf } from './parts/contents';
import { relationKey, type ScriptObject, type ScriptObjects } from './parts/objects';

/** What a restore would do to one object. */
export interface PlannedAction {
	/** `overwrite`: it goes, and the backup's comes. `keep`: it stays as it is. `add rows`: it stays, and rows come. */
	action: 'create' | 'drop' | 'overwrite' | 'keep' | 'add rows' | 'rename';
	/** As PostgreSQL calls it: `table`, `database`. */
	kind: string;
	schema?: string;
	name: string;
	/** In the backup, if it is known. */
	rows?: number;
	/** In the target. */
	presentRows?: number;
}

export interface RestorePlan {
	database: string;
	actions: PlannedAction[];
	/** Why the restore would stop before it changes anything. */
	problems: string[];
}

/** Parts of a table go with it, and are not listed. */
const listedKinds =
	/^(?:SCHEMA|EXTENSION|TYPE|DOMAIN|TABLE|FOREIGN TABLE|VIEW|MATERIALIZED VIEW|SEQUENCE|FUNCTION|PROCEDURE|AGGREGATE|PUBLICATION|SUBSCRIPTION|EVENT TRIGGER|SERVER|FOREIGN DATA WRAPPER|COLLATION|OPERATOR)$/;

/**
 * What `restorePostgres` with the same options would do. It reads the target in a transaction that may not write, and the backup
 * as far as need be.
 *
 * @throws LifeboatError what can't be read, of either; never for what would stop the restore itself.
 */
export async function planRestore(
	connection: PostgresConnection,
	open: (signal?: AbortSignal) => Promise<Readable>,
	options: PostgresRestoreOptions = {},
	context: EngineContext = {},
): Promise<RestorePlan> {
	const { database } = connection;
	const { target = { kind: 'existing' } } = options;
	const dump = await contentsOf(open, context);
	const plan: RestorePlan = { database, actions: [], problems: [] };
	if (target.kind === 'existing') {
		await readOnly(connection, context, async (client) => intoExisting(client, dump, options, plan));
		return plan;
	}
	const maintenance = {
		...connection,
		database: database === 'postgres' ? 'template1' : (options.maintenanceDatabase ?? 'postgres'),
	};
	const exists = await readOnly(maintenance, context, async (client) => databaseExists(client, database));
	if (target.kind === 'new' && exists) plan.problems.push(`There is a database ${database} already`);
	if (target.kind === 'swap' && isPartial(options))
		plan.problems.push('A part of a backup cannot take the place of a whole database');
	plan.actions.push(
		exists && target.kind === 'swap'
			? { action: target.old === 'drop' ? 'overwrite' : 'rename', kind: 'database', name: database }
			: { action: 'create', kind: 'database', name: database },
	);
	for (const object of chosen(dump, options, plan))
		plan.actions.push({ action: 'create', ...described(object, dump, options) });
	return plan;
}

async function intoExisting(
	client: Client,
	dump: ScriptObjects,
	options: PostgresRestoreOptions,
	plan: RestorePlan,
): Promise<void> {
	const { ifNotEmpty = 'stop', content = 'all' } = options;
	const present = await presentRelations(client);
	const objects = chosen(dump, options, plan);
	const coming = new Set<string>();
	const moved = (object: ScriptObject) =>
		object.schema !== undefined && options.intoSchema !== undefined
			? { ...object, schema: options.intoSchema }
			: object;
	const contents = await inspectContents(client);
	for (const object of objects) {
		const action = described(moved(object), dump, options, object);
		const key = relationKey({ schema: action.schema, name: action.name });
		const isRelation = /TABLE|VIEW|SEQUENCE/.test(object.desc);
		const isThere = isRelation && present.has(key);
		coming.add(key);
		if (!isThere) {
			if (content === 'data' && object.desc === 'TABLE')
				plan.problems.push(`The database has no table ${quoteQualified(action.schema ?? '', action.name)}`);
			if (content !== 'data') plan.actions.push({ action: 'create', ...action });
			continue;
		}
		const presentRows = object.desc === 'TABLE' ? await countRows(client, action) : undefined;
		const counted = { ...action, ...(presentRows !== undefined && { presentRows }) };
		if (content === 'data' && object.desc !== 'TABLE') continue;
		if (ifNotEmpty === 'merge')
			plan.actions.push({
				action: object.desc === 'TABLE' && content !== 'schema' ? 'add rows' : 'keep',
				...counted,
			});
		else if (ifNotEmpty === 'clean') plan.actions.push({ action: 'overwrite', ...counted });
		else if (content === 'data' && presentRows === 0) plan.actions.push({ action: 'add rows', ...counted });
		else {
			plan.actions.push({ action: 'keep', ...counted });
			plan.problems.push(
				`${object.desc.toLowerCase()} ${quoteQualified(action.schema ?? '', action.name)} is there already${presentRows ? `, with ${presentRows} rows` : ''}`,
			);
		}
	}
	if (isPartial(options)) return;
	if (ifNotEmpty === 'stop' && !contents.empty)
		plan.problems.push(`The database is not empty: ${summarizeContents(contents.objects)}`);
	if (ifNotEmpty !== 'clean') return;
	const byName = new Map(
		[...present].map(([key, { quoted, ...relation }]) => [quoted, { key, ...relation }]),
	);
	for (const { kind, name, schema } of contents.objects) {
		const relation = byName.get(name);
		if (relation && coming.has(relation.key)) continue;
		const presentRows = kind === 'table' && relation ? await countRows(client, relation) : undefined;
		plan.actions.push({
			...{ action: 'drop', kind, name: relation?.name ?? name },
			...(schema !== undefined && { schema: relation?.schema ?? schema }),
			...(presentRows !== undefined && { presentRows }),
		});
	}
}

function chosen(dump: ScriptObjects, options: PostgresRestoreOptions, plan: RestorePlan): ScriptObject[] {
	const listed = dump.objects.filter(({ desc }) => listedKinds.test(desc));
	if (dump.objects.length === 0) return [...dump.created];
	if (!options.parts) return listed;
	try {
		const { ids } = selectParts(dump.objects, options.parts);
		return listed.filter(({ id }) => ids.has(id));
	} catch (error) {
		if (!(error instanceof LifeboatError)) throw error;
		plan.problems.push(error.message);
		return [];
	}
}

/** @param source as the dump has it, where it goes into another schema. */
function described(
	{ desc, schema, tag }: ScriptObject,
	dump: ScriptObjects,
	{ expectedTables, content }: PostgresRestoreOptions,
	source: ScriptObject = { desc, schema, tag } as ScriptObject,
): Omit<PlannedAction, 'action'> {
	const known = expectedTables?.find(
		(table) => table.schema === source.schema && table.name === source.tag,
	)?.rows;
	const read = dump.tables.find(
		({ table }) => table.schema === source.schema && table.name === source.tag,
	)?.rows;
	const rows = known ?? read;
	return {
		...{ kind: desc.toLowerCase(), name: tag },
		...(schema !== undefined && { schema }),
		...(desc === 'TABLE' && content !== 'schema' && rows !== undefined && { rows }),
	};
}

async function presentRelations(
	client: Client,
): Promise<Map<string, { schema: string; name: string; quoted: string }>> {
	const { rows } = await client.query<{ schema: string; name: string; quoted: string }>(
		`SELECT n.nspname::text AS schema, c.relname::text AS name, pg_catalog.format('%I.%I', n.nspname, c.relname) AS quoted
		FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')`,
	);
	return new Map(rows.map((row) => [relationKey(row), row]));
}

async function countRows(
	client: Client,
	{ schema, name }: { schema?: string; name: string },
): Promise<number> {
	const { rows } = await client.query<{ count: string }>(
		`SELECT pg_catalog.count(*)::text AS count FROM ONLY ${quoteQualified(schema ?? 'public', name)}`,
	);
	return Number(rows[0]!.count);
}

async function readOnly<Result>(
	connection: PostgresConnection,
	{ signal }: EngineContext,
	use: (client: Client) => Promise<Result>,
): Promise<Result> {
	const client = await connectPostgres(connection, {
		...(signal && { signal }),
		applicationName: 'lifeboat restore',
	});
	try {
		await client.query('BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY');
		return await use(client);
	} catch (error) {
		throw postgresError(error, `looking into database ${connection.database}`);
	} finally {
		await client.query('ROLLBACK').catch(() => undefined);
		await client.end();
	}
}
