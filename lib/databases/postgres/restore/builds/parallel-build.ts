import type { Client } from 'pg';

import type { SqlStatement } from '../sql/lexer';

import type { BuildStatement } from './build-statement';
import type { Connections } from './connections';

interface Task {
	statement: SqlStatement;
	build: BuildStatement;
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
