import type { Client } from 'pg';

import { dropConnection } from '../../connection';

import type { BuildStatement } from './build-statement';
import type { SqlStatement } from '../sql/lexer';

interface Task {
	statement: SqlStatement;
	build: BuildStatement;
}

/**
 * Connections of a restore besides its first, each prepared with what the script has set so far. They see only what was
 * committed: a restore that uses them is none of one transaction.
 */
export class Connections {
	private readonly idle: { client: Client; applied: number }[] = [];

	private readonly all = new Set<Client>();

	private isClosed = false;

	/** How many are in use, or will be, by others than those who build. */
	reserved = 0;

	/** Statements that change the session, in the order in which the script has them. */
	private readonly settings: Buffer[] = [];

	constructor(
		/** How many may be open. */
		readonly limit: number,
		private readonly open: () => Promise<Client>,
		private readonly apply: (client: Client, statements: readonly Buffer[]) => Promise<unknown>,
	) {}

	/** To be told of each statement that sets something for the rest of the session. */
	remember(setting: Buffer): void {
		this.settings.push(setting);
	}

	/** @throws whatever `work` throws; always once they are closed. */
	async use<Result>(work: (client: Client) => Promise<Result>): Promise<Result> {
		const session = this.idle.pop() ?? { client: await this.open(), applied: 0 };
		const { client } = session;
		if (this.isClosed) {
			dropConnection(client);
			throw new Error('The connections of the restore are closed');
		}
		this.all.add(client);
		if (session.applied < this.settings.length) {
			await this.apply(client, this.settings.slice(session.applied));
			session.applied = this.settings.length;
		}
		const result = await work(client);
		this.idle.push(session);
		return result;
	}

	/** Ends them. What still runs on one is cancelled. */
	async close(): Promise<void> {
		this.isClosed = true;
		const idle = new Set(this.idle.map(({ client }) => client));
		for (const client of this.all) {
			if (idle.has(client)) await client.end().catch(() => undefined);
			else dropConnection(client);
		}
		this.all.clear();
	}
}

/** Shares building statements out among connections: those of the largest tables first, none where another holds its table. */
export class ParallelBuild {
	private readonly queue: Task[] = [];

	private readonly running = new Map<Task, Promise<void>>();

	/** Statements that wait until all that was added is built. */
	private later: SqlStatement[] = [];

	private failure: { error: unknown } | undefined;

	constructor(
		private readonly connections: Connections,
		private readonly run: (client: Client, statement: SqlStatement) => Promise<void>,
		/** Of a table, as the locks name it, by whatever measure. */
		private readonly sizeOf: (table: string) => number,
	) {}

	get kind(): BuildStatement['kind'] | undefined {
		return this.current;
	}

	private current: BuildStatement['kind'] | undefined;

	/** Takes a statement; all since the last `drain` must be of one kind. @throws what the first that failed threw. */
	add(statement: SqlStatement, build: BuildStatement): void {
		if (this.failure) throw this.failure.error;
		this.current = build.kind;
		this.queue.push({ statement, build });
		this.start();
	}

	postpone(statement: SqlStatement): void {
		this.later.push(statement);
	}

	/** Waits until everything is built. @returns what was postponed. @throws what the first that failed threw. */
	async drain(): Promise<SqlStatement[]> {
		this.start();
		while (this.running.size > 0) await Promise.race(this.running.values());
		if (this.failure) throw this.failure.error;
		// Nobody may take for whole what lacks an index or a constraint.
		if (this.queue.length > 0)
			throw new Error(`${this.queue.length} statements were left without a connection`);
		const { later } = this;
		this.later = [];
		this.current = undefined;
		return later;
	}

	/** Goes on, with the connections that have become free. */
	start(): void {
		const { connections } = this;
		while (!this.failure && this.running.size + connections.reserved < connections.limit) {
			const free = this.queue.filter((task) => this.isFree(task));
			const task = free.reduce<Task | undefined>(
				(best, each) => (best && this.weightOf(best) >= this.weightOf(each) ? best : each),
				undefined,
			);
			if (!task) return;
			this.queue.splice(this.queue.indexOf(task), 1);
			const work = this.connections
				.use(async (client) => this.run(client, task.statement))
				.catch((error: unknown) => {
					this.failure ??= { error };
				})
				.finally(() => {
					this.running.delete(task);
					this.start();
				});
			this.running.set(task, work);
		}
	}

	private weightOf({ build }: Task): number {
		return this.sizeOf(build.locks[0]!.table);
	}

	private isFree(task: Task): boolean {
		for (const { build } of this.running.keys()) {
			for (const held of build.locks) {
				const clash = task.build.locks.find(({ table }) => table === held.table);
				if (clash && (clash.exclusive || held.exclusive)) return false;
			}
		}
		return true;
	}
}
