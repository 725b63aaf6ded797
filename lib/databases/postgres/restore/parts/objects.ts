import { LifeboatError } from '../../../../errors';
import { textDisplay } from '../../archive/text';
import type { ArchiveToc } from '../../archive/types';
import { SqlLexer, type ObjectComment, type SqlStatement } from '../sql/lexer';
import { countNewlines } from '../sql/newlines';
import { describeStatement, nameAt, tokensOf } from '../sql/statement';

import { insertedTable } from './merge-insert';
import { relationKey, type ScriptObject, type ScriptObjects } from './script-object';
import { columnsBehind, copyColumns, relationsOf } from './statement-relations';

export { relationKey } from './script-object';
export type { ScriptObject, ScriptObjects } from './script-object';

/** The objects of an archive: its table of contents alone says it. */
export async function objectsOfArchive(toc: ArchiveToc): Promise<ScriptObjects> {
	const display = textDisplay(toc);
	const objects: ScriptObject[] = [];
	const tables: ScriptObjects['tables'][number][] = [];
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
			object.relation = { schema: comment.schema, name: comment.tag };
			const columns = copy && copyColumns(copy);
			if (columns) object.columns = columns;
			tables.push({ table: object.relation, columns });
		}
	}
	return { objects, tables, unassigned: 0, created: [], connects: 0 };
}

/** The objects of a script, by pg_dump's comments. It is read to its end. @throws what `SqlLexer` does. */
export async function objectsOfScript(lexer: SqlLexer): Promise<ScriptObjects> {
	const objects = new Map<number, ScriptObject>();
	const tables: ScriptObjects['tables'][number][] = [];
	let unassigned = 0;
	let connects = 0;
	const created: ScriptObject[] = [];
	/** Tables whose rows are INSERT statements. */
	const inserted = new Set<string>();
	for (let item = await lexer.next(); item; item = await lexer.next()) {
		if (item.kind === 'meta-command') {
			if (/^\\c(?:onnect)?\s/.test(item.text)) connects += 1;
			continue;
		}
		const into = item.head[0] === 'INSERT' ? insertedTable(item.sql) : undefined;
		if (into && !inserted.has(relationKey(into))) {
			inserted.add(relationKey(into));
			tables.push({ table: into, columns: columnsBehind(tokensOf(item.sql, 20_000), 2) });
		}
		let rows = 0;
		const object = item.object && known(objects, item.object);
		if (item.hasCopyData) {
			for await (const chunk of lexer.copyData()) rows += countNewlines(chunk, 0, chunk.length);
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
	return { objects: [...objects.values()], tables, unassigned, created, connects };
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
