import type { Client } from 'pg';

const setval = /^SELECT pg_catalog\.setval\(('(?:[^']|'')*'), (-?\d+), (true|false)\)/;

/** Statements that are run behind all others: those that set sequences, which no rollback undoes, and what needs the rows. */
export class LastStatements {
	private readonly statements: string[] = [];

	constructor(private readonly client: Client) {}

	add(sql: string): void {
		this.statements.push(sql);
	}

	/**
	 * Takes a statement that sets a sequence.
	 *
	 * @param merges the sequence then never goes back. @returns whether it is one.
	 */
	addSetval(sql: string, merges: boolean): boolean {
		const match = setval.exec(sql);
		if (!match) return false;
		const [plain, name, value, isCalled] = match;
		this.add(
			merges
				? `SELECT pg_catalog.setval(s.seqrelid, ${value}, ${isCalled}) FROM pg_catalog.pg_sequence s WHERE s.seqrelid = ${name}::pg_catalog.regclass
					AND coalesce(pg_catalog.sign(s.seqincrement) * (${value} - pg_catalog.pg_sequence_last_value(s.seqrelid)) > 0, true)`
				: plain,
		);
		return true;
	}

	async run(): Promise<void> {
		for (const sql of this.statements) await this.client.query(sql);
	}
}
