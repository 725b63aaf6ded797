import type { Client } from 'pg';

import { LifeboatError } from '../../../../errors';
import type { QualifiedName } from '../sql/statement';

import { columnProblems, lookAtTable, qualify, type ExistingTable } from './existing-table';
import { relationKey } from './objects';
import { PutAside } from './put-aside';

export interface LoadIntoTables {
	tables: readonly { table: QualifiedName; columns: readonly string[] | undefined }[];
	/** What becomes of rows that are there: an error, removed, or kept. */
	rows: 'stop' | 'clean' | 'merge';
	/** Whether the tables' triggers fire for each row that is loaded. */
	triggers: 'off' | 'fire';
}

const unchanged = 'Nothing was changed';

/**
 * Tables that rows are loaded into although they were there before. What stands in the way of loading them in any order is put
 * away first, and put back afterwards, within the transaction: foreign keys, which the server then checks for every row, and triggers.
 */
export class ExistingTables {
	private readonly aside: PutAside;

	private readonly byKey = new Map<string, ExistingTable>();

	constructor(private readonly client: Client) {
		this.aside = new PutAside(client);
	}

	/** Those columns that make a row one that is there already. Undefined for a table that was not there. */
	primaryKeyOf(table: QualifiedName): readonly string[] | undefined {
		return this.byKey.get(relationKey(table))?.primaryKey ?? undefined;
	}

	has(table: QualifiedName): boolean {
		return this.byKey.has(relationKey(table));
	}

	/**
	 * Looks at the tables, and prepares them.
	 *
	 * @throws LifeboatError `COLUMNS_DIFFER`, `NO_PRIMARY_KEY`, `NOT_EMPTY`, or what the server says.
	 */
	async prepare({ tables, rows, triggers }: LoadIntoTables): Promise<void> {
		for (const { table } of tables) {
			const found = await lookAtTable(this.client, table);
			if (found) this.byKey.set(relationKey(table), found);
		}
		const problems = tables.flatMap(({ table, columns }) => {
			const found = this.byKey.get(relationKey(table));
			return found && columns ? columnProblems(found, columns) : [];
		});
		if (problems.length > 0) {
			throw new LifeboatError(
				'COLUMNS_DIFFER',
				`The rows of the backup don't fit the tables of the target: ${listed(problems)}. ${unchanged}`,
				{ hint: 'Change the tables so that they have these columns, or restore tables and rows elsewhere' },
			);
		}
		const found = [...this.byKey.values()];
		if (rows === 'merge') requireKeys(found);
		if (rows === 'stop') await this.requireEmpty(found);
		await this.aside.foreignKeys(found, rows === 'clean');
		if (triggers === 'off') await this.aside.triggers(found);
		if (rows === 'clean') {
			const names = found.filter(({ kind }) => kind === 'r').map(qualify);
			if (names.length > 0) await this.client.query(`TRUNCATE ONLY ${names.join(', ')}`);
		}
	}

	/** Puts back what was put away. @throws what the server says: a foreign key that the rows break, say. */
	async finish(): Promise<void> {
		await this.aside.putBack();
	}

	private async requireEmpty(tables: readonly ExistingTable[]): Promise<void> {
		const filled: string[] = [];
		for (const table of tables) {
			if (table.kind === 'p') continue;
			const { rowCount } = await this.client.query(`SELECT FROM ONLY ${qualify(table)} LIMIT 1`);
			if (rowCount) filled.push(qualify(table));
		}
		if (filled.length === 0) return;
		throw new LifeboatError('NOT_EMPTY', `There are rows already in ${listed(filled)}. ${unchanged}`, {
			hint: 'Choose to remove them first, or to merge: rows that are there are then kept',
		});
	}
}

function requireKeys(tables: readonly ExistingTable[]): void {
	const without = tables.filter(({ primaryKey }) => primaryKey === null).map(qualify);
	if (without.length === 0) return;
	throw new LifeboatError(
		'NO_PRIMARY_KEY',
		`Rows can't be merged into tables without a primary key, which would tell those that are there: ${listed(without)}. ${unchanged}`,
		{
			hint: 'Leave these tables out, give them a primary key, or restore their rows with the present ones removed first',
		},
	);
}

function listed(texts: readonly string[]): string {
	return texts.slice(0, 5).join('; ') + (texts.length > 5 ? `; and ${texts.length - 5} more` : '');
}
