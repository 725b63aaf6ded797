import type { Client } from 'pg';

import { LifeboatError } from '../../../errors';
import { connectPostgres, type PostgresConnection } from '../connection';
import { postgresError } from '../errors';

import { lockedTables } from './cursor';
import type { FailedRequest } from './dump-session';
import { incomplete } from './incomplete';

/** Finds out, while a request waits for a lock, which table it is and who holds it: afterwards nobody knows. */
export class LockWatch {
	/** Such as `table public.orders, held by session 4711 (user shop, psql)`. */
	blockedBy: string | undefined;

	private backend: string | undefined;

	private looking: Promise<void> | undefined;

	constructor(
		private readonly client: Client,
		private readonly connection: PostgresConnection,
		private readonly lockTimeoutMs: number,
	) {}

	/** To be called inside the transaction: behind a pooler the server's process is known there only. */
	async prepare(): Promise<void> {
		const { rows } = await this.client.query<{ pid: string }>('SELECT pg_catalog.pg_backend_pid() AS pid');
		this.backend = rows[0]?.pid;
	}

	/** Passes an answer through; looks for a lock shortly before the time-out would end the wait. */
	async watch<Result>(answer: Promise<Result>): Promise<Result> {
		if (this.lockTimeoutMs === 0) return answer;
		const timer = setTimeout(() => {
			this.looking = this.look().catch(() => undefined); // without it the error is only less precise
		}, this.lockTimeoutMs * 0.7);
		try {
			return await answer;
		} finally {
			clearTimeout(timer);
		}
	}

	async end(): Promise<void> {
		await this.looking;
	}

	private async look(): Promise<void> {
		const client = await connectPostgres(this.connection, { timeoutMs: 5000 });
		try {
			const { rows } = await client.query<Record<'name' | 'pid' | 'usename' | 'application_name', string>>(
				`SELECT l.relation::pg_catalog.regclass AS name, a.pid, a.usename, a.application_name
				FROM pg_catalog.pg_locks l
				LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = (pg_catalog.pg_blocking_pids(l.pid))[1]
				WHERE l.pid = $1 AND NOT l.granted AND l.relation IS NOT NULL LIMIT 1`,
				[this.backend],
			);
			const lock = rows[0];
			if (!lock) return;
			const who = [lock.usename && `user ${lock.usename}`, lock.application_name].filter(Boolean).join(', ');
			this.blockedBy = `table ${lock.name}, locked by session ${lock.pid}${who ? ` (${who})` : ''}`;
		} finally {
			await client.end();
		}
	}
}

/** Why pg_dump failed: the server's refusal of its last request where there is one, otherwise what it said itself. */
export async function dumpError(
	log: string | undefined,
	failed: FailedRequest | undefined,
	connection: PostgresConnection,
	locks: LockWatch,
): Promise<LifeboatError> {
	const doing = `dumping database ${connection.database}`;
	if (failed?.error.code === '55P03') {
		await locks.end();
		const what = locks.blockedBy ?? tablesOf(failed);
		const error = postgresError(failed.error, doing);
		return new LifeboatError(error.code, `Waiting for ${what} took too long: the dump was not made`, {
			hint: error.hint,
			cause: failed.error,
		});
	}
	if (failed?.error.code === '53200' && failed.sql?.startsWith('LOCK TABLE')) {
		return new LifeboatError(
			'TOO_MANY_LOCKS',
			`Database ${connection.database} has more tables than its server can lock at once: the dump was not made`,
			{
				hint: 'Raise max_locks_per_transaction on the server (it takes a restart), or dump the schemas one by one',
				cause: failed.error,
			},
		);
	}
	if (failed?.error.code === '42501' && failed.sql?.startsWith('LOCK TABLE')) {
		const tables = await withoutPrivilege(connection, lockedTables(failed.sql)).catch(() => []);
		if (tables.length > 0) {
			const error = postgresError(failed.error, doing);
			const named =
				tables.slice(0, 10).join(', ') + (tables.length > 10 ? ` and ${tables.length - 10} more` : '');
			return new LifeboatError(
				error.code,
				`User ${connection.user} may not read ${named}: the dump was not made`,
				{
					hint: error.hint,
					cause: failed.error,
				},
			);
		}
	}
	if (failed) return postgresError(failed.error, doing);
	if (log === undefined) return incomplete('pg_dump ended unexpectedly');
	return new LifeboatError('PG_DUMP_FAILED', `${doing.replace('d', 'D')} failed: ${lastError(log)}`, {
		hint: 'This is what pg_dump says. Check the schemas and tables that were chosen',
		cause: new Error(log),
	});
}

function tablesOf({ sql }: FailedRequest): string {
	const tables = sql?.startsWith('LOCK TABLE') ? lockedTables(sql) : [];
	if (tables.length === 0) return 'a lock';
	return tables.length === 1 ? `table ${tables[0]}` : `one of the tables ${tables.slice(0, 10).join(', ')}`;
}

async function withoutPrivilege(connection: PostgresConnection, tables: string[]): Promise<string[]> {
	const client = await connectPostgres(connection);
	try {
		const { rows } = await client.query<{ name: string }>(
			`SELECT name FROM pg_catalog.unnest($1::text[]) name WHERE NOT pg_catalog.has_table_privilege(name, 'SELECT')`,
			[tables],
		);
		return rows.map(({ name }) => name);
	} finally {
		await client.end();
	}
}

/** The line of pg_dump's log that says what went wrong: the last error, for those before it may be of no consequence. */
function lastError(log: string): string {
	// Each line begins with the name of the program, which is that of the worker's file here.
	const errors = [...log.matchAll(/^\S+: error: (.*)$/gm)];
	return errors.at(-1)?.[1] ?? log.trim().split('\n')[0] ?? 'pg_dump said nothing';
}
