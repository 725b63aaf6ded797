import { connectPostgres, type PostgresConnection } from './connection';
import { postgresError } from './errors';

export interface TableOverview {
	schema: string;
	name: string;
	/** As the planner last counted; `undefined` if it never did. */
	estimatedRows: number | undefined;
	/** Of the rows alone, without indexes, in bytes. */
	size: number;
}

/** What a database holds, for pickers and progress. */
export interface DatabaseOverview {
	/** On the server's disk, with indexes, in bytes. */
	size: number;
	/** Of the tables that were ever counted. */
	estimatedRows: number;
	schemas: string[];
	tables: TableOverview[];
}

interface QueryOptions {
	signal?: AbortSignal;
}

/** Looks at a database without reading its tables. @throws LifeboatError as `connectPostgres`. */
export async function databaseOverview(
	connection: PostgresConnection,
	options: QueryOptions = {},
): Promise<DatabaseOverview> {
	return withQuery(connection, options, `looking at database ${connection.database}`, async (query) => {
		const [database] = await query<{ size: string }>(
			'SELECT pg_catalog.pg_database_size(pg_catalog.current_database()) AS size',
		);
		const schemas = await query<{ name: string }>(
			`SELECT nspname AS name FROM pg_catalog.pg_namespace
			WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' ORDER BY 1`,
		);
		// -1, or 0 before PostgreSQL 14, says that a table was never counted; an empty one has no pages.
		const rows = await query<Record<'schema' | 'name' | 'rows' | 'size', string>>(
			`SELECT n.nspname AS schema, c.relname AS name, c.reltuples::int8 AS rows,
				coalesce(pg_catalog.pg_table_size(c.oid), 0) AS size
			FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
			WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
			ORDER BY 1, 2`,
		);
		const tables = rows.map(({ schema, name, rows: estimate, size }) => {
			const counted = Number(estimate) > 0 || Number(size) === 0;
			return {
				schema,
				name,
				size: Number(size),
				estimatedRows: counted ? Math.max(0, Number(estimate)) : undefined,
			};
		});
		return {
			size: Number(database!.size),
			estimatedRows: tables.reduce((sum, table) => sum + (table.estimatedRows ?? 0), 0),
			schemas: schemas.map(({ name }) => name),
			tables,
		};
	});
}

/** The names of the databases that the user may connect to, without templates. @throws LifeboatError as `connectPostgres`. */
export async function listDatabases(
	connection: PostgresConnection,
	options: QueryOptions = {},
): Promise<string[]> {
	return withQuery(connection, options, `listing the databases of ${connection.host}`, async (query) => {
		const rows = await query<{ name: string }>(
			`SELECT datname AS name FROM pg_catalog.pg_database
			WHERE datallowconn AND NOT datistemplate AND pg_catalog.has_database_privilege(datname, 'CONNECT') ORDER BY 1`,
		);
		return rows.map(({ name }) => name);
	});
}

/** A database of a server. */
export interface ServerDatabase {
	name: string;
	/** Why nobody, or not this user, can dump it. */
	obstacle?: string;
}

/** All databases of a server, without templates; those that can't be dumped, too. @throws LifeboatError as `connectPostgres`. */
export async function serverDatabases(
	connection: PostgresConnection,
	options: QueryOptions = {},
): Promise<ServerDatabase[]> {
	return withQuery(connection, options, `listing the databases of ${connection.host}`, async (query) => {
		const rows = await query<{ name: string; open: string; permitted: string }>(
			`SELECT datname AS name, datallowconn AS open, pg_catalog.has_database_privilege(datname, 'CONNECT') AS permitted
			FROM pg_catalog.pg_database WHERE NOT datistemplate ORDER BY 1`,
		);
		return rows.map(({ name, open, permitted }) => {
			if (open !== 't')
				return { name, obstacle: 'it takes no connections (ALTER DATABASE … ALLOW_CONNECTIONS)' };
			return permitted === 't'
				? { name }
				: { name, obstacle: `user ${connection.user} may not connect to it` };
		});
	});
}

type Query = <Row extends object>(sql: string) => Promise<Row[]>;

async function withQuery<Result>(
	connection: PostgresConnection,
	{ signal }: QueryOptions,
	doing: string,
	run: (query: Query) => Promise<Result>,
): Promise<Result> {
	const client = await connectPostgres(connection, { signal });
	try {
		return await run(async <Row extends object>(sql: string) => (await client.query(sql)).rows as Row[]);
	} catch (error) {
		throw postgresError(signal?.aborted ? signal.reason : error, doing);
	} finally {
		await client.end();
	}
}
