import { LifeboatError } from '../../../../errors';
import type { ArchiveToc } from '../../archive/types';
import { textDisplay } from '../../archive/text';

import { SqlLexer, type ObjectComment, type SqlStatement } from '../sql/lexer';
import { describeStatement, nameAt, tokensOf, type QualifiedName, type SqlToken } from '../sql/statement';

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
	/** The dump has rows as INSERT statements. */
	readonly hasInserts: boolean;
	/** What statements without comment create. */
	readonly created: readonly ScriptObject[];
	/** How often it goes to another database. */
	readonly connects: number;
}

/** A relation as a key of a Map or Set. */
export function relationKey({ schema, name }: QualifiedName): string {
	return JSON.stringify([schema ?? null, name]);
}

/** The objects of an archive: its table of contents alone says it. */
export async function objectsOfArchive(toc: ArchiveToc): Promise<ScriptObjects> {
	const display = textDisplay(toc);
	const objects: ScriptObject[] = [];
	const tables: { table: QualifiedName; columns: readonly string[] | undefined; rows?: number }[] = [];
	let hasInserts = false;
	for (const entry of toc.entries) {
		const text = (value: string | null) => (value === null ? undefined : display(value));
		const { dumpId: id, desc } = entry;
		const comment: ObjectComment = {
			id,
			desc,
			tag: display(entry.tag),
			schema: text(entry.namespace),
			owner: text(entry.owner),
		};
		const { dependencies } = entry;
		const object: ScriptObject = { ...comment, relation: undefined, other: undefined, dependencies };
		objects.push(object);
		if (entry.desc === 'BLOB' || entry.desc === 'BLOBS' || entry.desc === 'BLOB METADATA') continue;
		for await (const { sql } of statementsOf(display(entry.defn ?? ''))) noteStatement(object, sql);
		if (entry.hasData) {
			const [copy] = entry.copyStmt ? [Buffer.from(display(entry.copyStmt))] : [];
			hasInserts ||= copy === undefined;
			object.relation = { schema: comment.schema, name: comment.tag };
			if (copy) {
				const columns = copyColumns(copy);
				if (columns) object.columns = columns;
				tables.push({ table: object.relation, columns });
			}
		}
	}
	return { objects, tables, unassigned: 0, hasInserts, created: [], connects: 0 };
}

/** The objects of a script, by pg_dump's comments. It is read to its end. @throws what `SqlLexer` does. */
export async function objectsOfScript(lexer: SqlLexer): Promise<ScriptObjects> {
	const objects = new Map<number, ScriptObject>();
	const tables: { table: QualifiedName; columns: readonly string[] | undefined; rows?: number }[] = [];
	let unassigned = 0;
	let connects = 0;
	const created: ScriptObject[] = [];
	let hasInserts = false;
	for (let item = await lexer.next(); item; item = await lexer.next()) {
		if (item.kind === 'meta-command') {
			if (/^\\c(?:onnect)?\s/.test(item.text)) connects += 1;
			continue;
		}
		const [verb] = item.head;
		if (verb === 'INSERT') hasInserts = true;
		let rows = 0;
		const object = item.object && known(objects, item.object);
		if (item.hasCopyData) {
			for await (const chunk of lexer.copyData()) rows += countRows(chunk);
			const table = nameAt(tokensOf(item.sql, 8), 1);
			const columns = copyColumns(item.sql);
			if (table) tables.push({ table, columns, rows });
			if (object) object.rows = (object.rows ?? 0) + rows;
			if (object && columns) object.columns = columns;
		}
		if (isSessionStatement(item)) continue;
		if (object) noteStatement(object, item.sql);
		else {
			unassigned += 1;
			const found = createdBy(item, unassigned);
			if (found) created.push(found);
		}
	}
	return { objects: [...objects.values()], tables, unassigned, hasInserts, created, connects };
}

/** Statements that concern the session, not an object: they count whatever is restored. */
export function isSessionStatement({ head, sql }: Pick<SqlStatement, 'head' | 'sql'>): boolean {
	return (
		/^(?:SET|RESET|BEGIN|START|COMMIT|END)$/.test(head[0] ?? '') ||
		/^SELECT pg_catalog\.set_config\(/.test(sql.toString('latin1', 0, 40))
	);
}

function createdBy({ head, sql }: SqlStatement, id: number): ScriptObject | undefined {
	if (head[0] !== 'CREATE') return undefined;
	const desc = describeStatement(sql).kind.slice('CREATE '.length);
	const tokens = tokensOf(sql, 12);
	const at = tokens.findIndex(({ text }) => text === desc.split(' ').at(-1)) + 1;
	const name = nameAt(tokens, tokens[at]?.text === 'IF' ? at + 3 : at);
	if (
		!name ||
		!/^(?:SCHEMA|EXTENSION|TYPE|DOMAIN|TABLE|VIEW|MATERIALIZED VIEW|SEQUENCE|FUNCTION|PROCEDURE)$/.test(desc)
	)
		return undefined;
	const isInSchema = desc !== 'SCHEMA' && desc !== 'EXTENSION';
	const schema = isInSchema ? (name.schema ?? 'public') : undefined;
	return { id, desc, tag: name.name, schema, owner: undefined, relation: undefined, other: undefined };
}

function known(objects: Map<number, ScriptObject>, comment: ObjectComment): ScriptObject {
	let object = objects.get(comment.id);
	if (!object) {
		object = { ...comment, relation: undefined, other: undefined };
		objects.set(comment.id, object);
	}
	return object;
}

async function* statementsOf(text: string): AsyncGenerator<SqlStatement, void, undefined> {
	const lexer = new SqlLexer(
		(async function* () {
			yield Buffer.from(text.trimEnd().endsWith(';') ? text : `${text};`);
		})(),
	);
	for (let item = await lexer.next(); item; item = await lexer.next())
		if (item.kind === 'statement') yield item;
}

const ownName =
	/^(?:TABLE|VIEW|MATERIALIZED VIEW|FOREIGN TABLE|SEQUENCE|TABLE DATA|MATERIALIZED VIEW DATA|SEQUENCE SET)$/;

/** The first statement of an object says what it is a part of. */
function noteStatement(object: ScriptObject, sql: Buffer): void {
	if (object.relation) return;
	const { relation, other, publication } = relationsOf(sql);
	if (publication !== undefined) object.publication = publication;
	if (object.desc === 'TRIGGER' && tokensOf(sql, 1)[0]?.text === 'ALTER') object.isInherited = true;
	// An identity's sequence is made by ALTER TABLE: it belongs to the table.
	const isOwn =
		ownName.test(object.desc) && !(object.desc === 'SEQUENCE' && relation && relation.name !== object.tag);
	object.relation = isOwn ? { schema: object.schema, name: object.tag } : relation;
	object.other = other;
}

/** The table that a statement creates, changes or belongs to, and another, or the publication, that it needs. */
export function relationsOf(sql: Buffer): {
	relation?: QualifiedName;
	other?: QualifiedName;
	publication?: string;
} {
	const tokens = tokensOf(sql, 300);
	const isWord = (at: number, pattern: RegExp) =>
		tokens[at]?.kind === 'word' && pattern.test(tokens[at].text);
	const behind = (word: RegExp, from = 0): number => {
		const at = tokens.findIndex((_, index) => index >= from && isWord(index, word));
		return at === -1 ? -1 : at + 1;
	};
	const nameFrom = (at: number): QualifiedName | undefined => {
		let next = at;
		while (isWord(next, /^(?:ONLY|IF|NOT|EXISTS|TABLE|SEQUENCE|VIEW)$/)) next += 1;
		return at <= 0 ? undefined : strip(nameAt(tokens, next));
	};
	const found = (relation: QualifiedName | undefined, other?: QualifiedName) => ({
		...(relation && { relation }),
		...(other && { other }),
	});
	const verb = tokens[0]?.text;
	const kindAt = isWord(1, /^(?:UNIQUE|CONSTRAINT|UNLOGGED|MATERIALIZED|FOREIGN|OR)$/)
		? isWord(1, /^OR$/)
			? 3
			: 2
		: 1;
	if (verb === 'COPY') return found(nameFrom(1));
	if (verb === 'CREATE') {
		if (isWord(kindAt, /^(?:INDEX|TRIGGER|POLICY)$/) || isWord(kindAt + 1, /^TRIGGER$/))
			return found(nameFrom(behind(/^ON$/)));
		if (isWord(kindAt, /^RULE$/)) return found(nameFrom(behind(/^TO$/)));
		if (isWord(kindAt, /^STATISTICS$/)) return found(nameFrom(behind(/^FROM$/)));
		if (isWord(kindAt, /^(?:TABLE|VIEW|SEQUENCE)$/)) return found(nameFrom(kindAt + 1));
		return {};
	}
	if (verb === 'ALTER') {
		if (isWord(1, /^PUBLICATION$/)) {
			const add = behind(/^ADD$/, 3);
			const publication = nameAt(tokens, 2)?.name;
			return {
				...(publication !== undefined && { publication }),
				...(isWord(add, /^TABLE$/) && found(nameFrom(add))),
			};
		}
		if (!isWord(kindAt, /^(?:TABLE|INDEX|SEQUENCE|VIEW)$/)) return {};
		const relation = nameFrom(kindAt + 1);
		if (isWord(kindAt, /^SEQUENCE$/)) {
			const owner = columnTable(tokens, behind(/^OWNED$/) + 1);
			return found(relation, owner);
		}
		const other = nameFrom(behind(/^(?:REFERENCES|PARTITION)$/));
		return found(relation, other);
	}
	if (verb === 'COMMENT' || verb === 'SECURITY') {
		const on = behind(/^ON$/);
		if (isWord(on, /^COLUMN$/)) return found(columnTable(tokens, on + 1));
		if (isWord(on, /^(?:CONSTRAINT|TRIGGER|RULE|POLICY)$/)) return found(nameFrom(behind(/^ON$/, on)));
		if (isWord(on, /^(?:MATERIALIZED|FOREIGN)$/)) return found(nameFrom(on + 2));
		if (isWord(on, /^(?:TABLE|VIEW|SEQUENCE|INDEX|STATISTICS)$/)) return found(nameFrom(on + 1));
		return {};
	}
	if (verb === 'GRANT' || verb === 'REVOKE') {
		const on = behind(/^ON$/);
		return isWord(on, /^(?:TABLE|SEQUENCE)$/) ? found(nameFrom(on + 1)) : {};
	}
	return {};
}

function strip(name: (QualifiedName & { next: number }) | undefined): QualifiedName | undefined {
	return name && { schema: name.schema, name: name.name };
}

/** The table of `schema.table.column`. */
function columnTable(tokens: readonly SqlToken[], at: number): QualifiedName | undefined {
	const parts: string[] = [];
	for (let next = at; tokens[next] && /^(?:word|quoted)$/.test(tokens[next]!.kind); next += 2) {
		parts.push(tokens[next]!.name);
		if (tokens[next + 1]?.text !== '.') break;
	}
	const name = parts.at(-2);
	return name === undefined ? undefined : { schema: parts.at(-3), name };
}

/** The column list of a COPY statement, if it has one. */
export function copyColumns(sql: Buffer): string[] | undefined {
	const tokens = tokensOf(sql, 20_000, sql.length);
	const table = nameAt(tokens, 1);
	if (!table || tokens[table.next]?.text !== '(') return undefined;
	const columns: string[] = [];
	for (let at = table.next + 1; tokens[at] && tokens[at]!.text !== ')'; at++)
		if (/^(?:word|quoted)$/.test(tokens[at]!.kind)) columns.push(tokens[at]!.name);
	return columns;
}

function countRows(chunk: Buffer): number {
	let rows = 0;
	for (let at = chunk.indexOf(10); at !== -1; at = chunk.indexOf(10, at + 1)) rows += 1;
	return rows;
}

/** @throws LifeboatError `OBJECTS_UNKNOWN` where parts can't be told apart. */
export function requireObjects({ unassigned }: ScriptObjects, what: string): void {
	if (unassigned === 0) return;
	throw new LifeboatError(
		'OBJECTS_UNKNOWN',
		`This SQL script does not say which object each statement belongs to, so ${what}`,
		{
			hint: 'Scripts of pg_dump say it in comments ("-- Name: …; Type: …; Schema: …"). Restore all of it, into a new database, say, or take a dump by pg_dump or Dump Database',
		},
	);
}
