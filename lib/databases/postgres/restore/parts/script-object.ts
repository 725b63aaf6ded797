import type { ObjectComment } from '../sql/lexer';
import type { QualifiedName } from '../sql/statement';

/** An object of a dump, as its table of contents or the comments of its script name it. */
export interface ScriptObject extends ObjectComment {
	/** The relation it is, or is a part of: the table of an index, constraint, trigger, comment, or of rows. */
	relation: QualifiedName | undefined;
	/** The relation that it needs besides: what a foreign key refers to, or the partition that is attached. */
	other: QualifiedName | undefined;
	/** The state of a trigger that comes from the table whose partition this is. */
	isInherited?: boolean;
	/** The publication that it adds a table or a schema to. */
	publication?: string;
	/** Ids of the objects it needs, as far as the dump tells. */
	dependencies?: readonly number[];
	/** The columns that its rows have, for TABLE DATA. */
	columns?: readonly string[];
	/** Rows that stand in the script, where it is one. */
	rows?: number;
}

/** Everything in a dump, in its order. */
export interface ScriptObjects {
	readonly objects: readonly ScriptObject[];
	/** The script's rows, counted; archives are not read so far. */
	readonly tables: readonly { table: QualifiedName; columns: readonly string[] | undefined; rows?: number }[];
	/** Statements that no comment assigns to an object, besides settings and the transaction's own. */
	readonly unassigned: number;
	/** What statements without comment create. */
	readonly created: readonly ScriptObject[];
	/** How often it goes to another database. */
	readonly connects: number;
}

/** A relation as a key of a Map or Set. */
export function relationKey({ schema, name }: QualifiedName): string {
	return JSON.stringify([schema ?? null, name]);
}
