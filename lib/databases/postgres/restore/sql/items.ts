/** A piece of a SQL script. */
export type SqlItem = SqlStatement | SqlMetaCommand;

export interface SqlStatement {
	readonly kind: 'statement';
	/** Without its semicolon and without the comments before it, in the script's own encoding. */
	readonly sql: Buffer;
	/** Where it begins: the first line is 1. */
	readonly line: number;
	/** Its first words outside quotes and parentheses, in upper case: at most six. */
	readonly head: readonly string[];
	/** The statement is `COPY ... FROM STDIN`: its rows follow, and must be read with `copyData` before the next item. */
	readonly hasCopyData: boolean;
	/** The object that pg_dump's last comment before it names. */
	readonly object?: ObjectComment;
}

/** What pg_dump's comment before an object says: `-- Name: orders; Type: TABLE; Schema: public; Owner: clerk`. */
export interface ObjectComment {
	/** Its number in the table of contents, where the script tells it; else the comments are counted. */
	readonly id: number;
	/** As the table of contents has it: `TABLE`, `TABLE DATA`, `FK CONSTRAINT`, ... */
	readonly desc: string;
	readonly tag: string;
	readonly schema: string | undefined;
	readonly owner: string | undefined;
}

/** A line for psql itself, such as `\connect shop`. */
export interface SqlMetaCommand {
	readonly kind: 'meta-command';
	/** From its backslash to the end of its line. */
	readonly text: string;
	readonly line: number;
	/** It stands inside a statement, as `\gset` does. */
	readonly insideStatement: boolean;
}
