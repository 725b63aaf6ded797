import type { SqlStatement } from '../sql/lexer';

/** Locks that are held at once where the server does not say how many it has room for: as many as it has by default. */
const USUAL_ROOM = 64 * 100;

/**
 * How many locks a transaction may collect before it should end. The server has room for so many in its shared memory, and a
 * transaction that creates thousands of tables with their indexes and sequences fills it.
 */
export class LockBudget {
	private readonly limit: number;

	private held = 0;

	private hasSavepoint = false;

	/** @param settings of the server, as `pg_settings` has them. */
	constructor(settings: ReadonlyMap<string, string>) {
		const number = (name: string) => Number(settings.get(name) ?? 0);
		const room =
			number('max_locks_per_transaction') * (number('max_connections') + number('max_prepared_transactions'));
		// Others need some, too.
		this.limit = (room || USUAL_ROOM) / 2;
	}

	/**
	 * Counts what a statement locks.
	 *
	 * @returns whether the transaction should end before it: it may, then and there, for nothing is half done.
	 */
	isUsedUpBy({ head, sql }: Pick<SqlStatement, 'head' | 'sql'>): boolean {
		const locks = locksOf(head, sql);
		this.held += locks;
		// A script that goes back to its savepoints needs the transaction that they are in.
		this.hasSavepoint ||= head[0] === 'SAVEPOINT';
		if (locks === 0 || this.held <= this.limit || this.hasSavepoint) return false;
		this.held = locks;
		return true;
	}

	/** To be called when the transaction has ended. */
	release(): void {
		this.held = 0;
	}
}

/** At most, by and large. Large objects are written by several SELECTs in one transaction: it doesn't end between those. */
function locksOf([verb, kind]: readonly string[], sql: Buffer): number {
	if (verb === 'CREATE') return kind === 'FUNCTION' || kind === 'TYPE' ? 1 : 5;
	if (verb === 'COPY') return 2;
	if (verb === 'SELECT') return sql.toString('latin1', 0, 25) === 'SELECT pg_catalog.setval(' ? 1 : 0;
	return verb === 'ALTER' ? 1 : 0;
}
