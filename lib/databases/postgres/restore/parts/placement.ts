import type { SqlStatement } from '../sql/lexer';

/** What each setting decides about: `default_table_access_method` is not asked for an index. */
const concerned: Record<string, RegExp> = {
	default_table_access_method: /^(?:TABLE|MATERIALIZED VIEW)$/,
	default_tablespace: /^(?:TABLE|MATERIALIZED VIEW|INDEX|CONSTRAINT)$/,
};

/**
 * Settings of a script that say where the next objects go. Those meant for objects that are not restored must not be made:
 * the server refuses a tablespace or an access method that it doesn't have.
 */
export class HeldPlacement {
	private readonly held = new Map<string, SqlStatement>();

	/** Takes a setting that decides about the place of objects. @returns whether it is one. */
	holds(statement: SqlStatement): boolean {
		const { head } = statement;
		const name = head[0] === 'SET' ? head[1]?.toLowerCase() : undefined;
		if (name === undefined || !(name in concerned)) return false;
		this.held.set(name, statement);
		return true;
	}

	/** The settings that concern an object about to be created, and were not made yet. @param desc as the dump calls its kind. */
	take(desc: string): SqlStatement[] {
		const due = [...this.held].filter(([name]) => concerned[name]!.test(desc));
		for (const [name] of due) this.held.delete(name);
		return due.map(([, statement]) => statement);
	}
}
