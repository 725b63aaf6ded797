import { randomBytes } from 'node:crypto';

import type { Client } from 'pg';

import { LifeboatError } from '../../../../errors';
import { quoteIdentifier, quoteQualified } from '../../identifiers';

import { Attachments } from './attachments';
import { dropParts } from './drop-parts';
import { ExistingTables } from './existing-tables';
import { LentObjects } from './lent-objects';
import type { PostgresRestoreOptions } from '../options';
import { remarkKinds, selectParts, type SelectedParts } from './parts';
import { HeldPlacement } from './placement';
import {
	isSessionStatement,
	relationKey,
	requireObjects,
	type ScriptObject,
	type ScriptObjects,
} from './objects';
import type { ObjectComment, SqlStatement } from '../sql/lexer';
import type { QualifiedName } from '../sql/statement';

/** What becomes of a statement: `attempt` keeps an object that is there already. */
export type PartDecision = 'run' | 'skip' | 'attempt';

/** Whether a restore concerns more, or less, than all of a dump into an empty database. */
export function isPartial({ parts, intoSchema, content, ifNotEmpty }: PostgresRestoreOptions): boolean {
	return Boolean(parts ?? intoSchema) || (content ?? 'all') !== 'all' || ifNotEmpty === 'merge';
}

const supportsAttempt = /^(?:SCHEMA|EXTENSION)$/;

/** A restore of parts, of rows or definitions alone, into another schema, or into what is there. */
export class PartialRestore {
	readonly warnings: string[] = [];

	private readonly selected: SelectedParts | undefined;

	private readonly byId: ReadonlyMap<number, ScriptObject>;

	/** Relations of the target before the restore. */
	private readonly existing = new Set<string>();

	private readonly leftOut = new Set<number>();

	private readonly keptIds = new Set<number>();

	private readonly keptNames = new Set<string>();

	private readonly tables: ExistingTables;

	private afterwards: string[] = [];

	/** Statements that are run behind all others. */
	private readonly last: string[] = [];

	private lent: LentObjects | undefined;

	private readonly attachments: Attachments;

	private readonly placement = new HeldPlacement();

	/** The schema of the dump that goes into another one. */
	private readonly fromSchema: string | undefined;

	constructor(
		private readonly client: Client,
		private readonly dump: ScriptObjects,
		private readonly options: PostgresRestoreOptions,
	) {
		const { parts, intoSchema, content, ifNotEmpty } = options;
		if (parts || ifNotEmpty === 'merge')
			requireObjects(dump, parts ? 'no parts of it can be restored' : "it can't be merged");
		this.byId = new Map(dump.objects.map((object) => [object.id, object]));
		this.selected = parts && selectParts(dump.objects, parts);
		if (dump.hasInserts && (ifNotEmpty === 'merge' || content === 'data')) {
			throw new LifeboatError(
				'INSERTS_UNSUPPORTED',
				'The rows of this dump are INSERT statements: they can only be restored with their tables',
				{
					hint: 'Restore all of it, or take dumps with COPY, which is what pg_dump and Dump Database do unless told otherwise',
				},
			);
		}
		if (
			ifNotEmpty === 'merge' &&
			content !== 'schema' &&
			this.chosen().some(({ desc }) => desc.startsWith('BLOB'))
		) {
			throw new LifeboatError(
				'MERGE_LARGE_OBJECTS',
				"The dump holds large objects, which can't be merged: nothing tells which of them are there already",
				{
					hint: 'Choose the tables or schemas to restore: large objects belong to none and are then left out',
				},
			);
		}
		if (intoSchema !== undefined) {
			const [schema, another] = this.selected?.schemas ?? [];
			if (schema === undefined || another !== undefined) {
				throw new LifeboatError(
					'INVALID_OPTION',
					'What goes into another schema must come from a single one',
					{
						hint: 'Choose tables of one schema, or one schema',
					},
				);
			}
			if (schema !== intoSchema) this.fromSchema = schema;
		}
		this.tables = new ExistingTables(client);
		this.attachments = new Attachments(dump.objects, this.selected, ifNotEmpty === 'merge');
	}

	/** Whether any of an archive's entry is wanted, as definition or as data. */
	wants(id: number, what: 'schema' | 'data'): boolean {
		const { content = 'all' } = this.options;
		if (content !== 'all' && content !== what) return false;
		return !this.selected || this.selected.ids.has(id) || this.selected.support.has(id);
	}

	/** Whether rows of that table are loaded. */
	loads({ schema, name }: QualifiedName): boolean {
		return (
			this.options.content !== 'schema' &&
			this.chosen().some(
				(object) => object.desc === 'TABLE DATA' && object.tag === name && object.schema === schema,
			)
		);
	}

	/** The primary key of a table that was there, if its rows are merged. */
	mergeKey(table: QualifiedName | undefined): readonly string[] | undefined {
		if (this.options.ifNotEmpty !== 'merge' || !table) return undefined;
		return this.tables.primaryKeyOf(table);
	}

	/** To be called first in the transaction. */
	async prepare(): Promise<void> {
		// So that definitions are told with the schemas of all they name.
		await this.client.query('SET LOCAL search_path = pg_catalog');
		await this.makeRoomForSchema();
		await this.readExisting();
		const { ifNotEmpty = 'stop', content = 'all', triggers = 'off' } = this.options;
		const relations = this.selected?.relations ?? [];
		const there = relations.filter(({ schema, tag }) =>
			this.existing.has(relationKey({ schema, name: tag })),
		);
		if (content !== 'data' && ifNotEmpty === 'clean' && this.selected) {
			await dropParts(this.client, this.chosen(), there);
			await this.readExisting();
		} else if (content !== 'data' && ifNotEmpty === 'stop' && there.length > 0) {
			const names = there.slice(0, 5).map(({ schema, tag }) => quoteQualified(schema ?? 'public', tag));
			throw new LifeboatError(
				'NOT_EMPTY',
				`The database has ${names.join(', ')}${there.length > 5 ? ' and more of them' : ''} already. Nothing was changed`,
				{
					hint: 'Restore into another schema or database, or choose to remove or to merge what is there',
				},
			);
		}
		for (const [id, relation] of this.selected?.needing ?? []) {
			if (this.existing.has(relationKey(relation))) continue;
			this.leftOut.add(id);
			const { desc, tag } = this.byId.get(id)!;
			this.warnings.push(
				`${desc} ${tag} was left out: it needs ${relation.schema ?? ''}.${relation.name}, which is neither restored nor there`,
			);
		}
		this.attachments.existing = this.existing;
		await this.attachments.readPublications(this.client);
		for (const { id, desc, tag, publication } of this.attachments.withoutPublication()) {
			this.leftOut.add(id);
			this.warnings.push(
				`${desc} ${tag} was left out: it needs the publication ${publication}, which is neither restored nor there`,
			);
		}
		const into = this.chosenTables().filter(
			({ table }) => content === 'data' || this.existing.has(relationKey(table)),
		);
		if (content === 'data') this.requireTables(into.map(({ table }) => table));
		if (content !== 'schema') await this.tables.prepare({ tables: into, rows: ifNotEmpty, triggers });
		await this.makeSchemas();
		await this.client.query('SET LOCAL search_path TO DEFAULT');
	}

	decide(statement: SqlStatement): PartDecision {
		if (isSessionStatement(statement)) return this.placement.holds(statement) ? 'skip' : 'run';
		const { content = 'all', ifNotEmpty } = this.options;
		if (content !== 'all' && isData(statement) !== (content === 'data')) return 'skip';
		const object = statement.object && (this.byId.get(statement.object.id) ?? undefined);
		if (!object) return 'run';
		if (this.selected && !this.selected.ids.has(object.id)) {
			if (!this.selected.support.has(object.id) || this.isKept(object)) return 'skip';
			return 'attempt';
		}
		if (this.leftOut.has(object.id) || this.isKept(object) || this.isOfMovedSchema(object)) return 'skip';
		const attachment = this.attachments.decide(object);
		if (attachment) return attachment;
		if (this.selected && supportsAttempt.test(object.desc)) return 'attempt';
		if (ifNotEmpty !== 'merge') return 'run';
		if (object.desc === 'TABLE DATA' || object.desc === 'SEQUENCE SET') return 'run';
		if (!object.relation) return 'attempt';
		return this.existing.has(relationKey(object.relation)) ? 'skip' : 'run';
	}

	/** The object of a statement that was attempted is there: it stays as it is. */
	keep(object: ObjectComment | undefined): void {
		if (!object) return;
		this.keptIds.add(object.id);
		this.keptNames.add(`${object.schema ?? ''} ${object.desc} ${object.tag}`);
	}

	/** The settings to make before a statement that is run: those that say where it puts what it creates. */
	settingsFor({ object }: SqlStatement): SqlStatement[] {
		return this.placement.take(object?.desc ?? '');
	}

	/**
	 * Keeps back the statement that sets a sequence which was there: what sequences do is not undone with the transaction, so
	 * that it comes last. Merged, a sequence never goes back. A partition joins a table that was there once it has its rows:
	 * the table's triggers fire for none of them.
	 *
	 * @returns whether it was kept back.
	 */
	keepsBack(statement: SqlStatement): boolean {
		const part = statement.object && this.byId.get(statement.object.id);
		if (part && this.attachments.comesLast(part)) {
			this.last.push(statement.sql.toString('utf8'));
			return true;
		}
		const { desc, schema, tag } = statement.object ?? {};
		if (desc !== undefined && desc !== 'SEQUENCE SET') return false;
		const match = /^SELECT pg_catalog\.setval\(('(?:[^']|'')*'), (-?\d+), (true|false)\)/.exec(
			statement.sql.toString('utf8'),
		);
		if (!match || (tag !== undefined && !this.existing.has(relationKey({ schema, name: tag })))) return false;
		const [sql, name, value, isCalled] = match;
		this.last.push(
			this.options.ifNotEmpty === 'merge'
				? `SELECT pg_catalog.setval(s.seqrelid, ${value}, ${isCalled}) FROM pg_catalog.pg_sequence s WHERE s.seqrelid = ${name}::pg_catalog.regclass
					AND coalesce(pg_catalog.sign(s.seqincrement) * (${value} - pg_catalog.pg_sequence_last_value(s.seqrelid)) > 0, true)`
				: sql,
		);
		return true;
	}

	/** Puts back what was put away for loading rows; the rows are checked by that. */
	async finish(): Promise<void> {
		await this.tables.finish();
	}

	/** Whether a sequence is one that the restore makes, so that it can be compared with the manifest. */
	makesSequence({ schema, name }: QualifiedName): boolean {
		if (this.options.content === 'schema' || this.existing.has(relationKey({ schema, name }))) return false;
		return this.chosen().some(
			(object) => object.desc === 'SEQUENCE SET' && object.tag === name && object.schema === schema,
		);
	}

	/** To be called last: until then everything has the names that it has in the dump. */
	async rename(): Promise<void> {
		for (const sql of this.last) await this.client.query(sql);
		await this.lent?.giveBack();
		for (const sql of this.afterwards) await this.client.query(sql);
	}

	/** The schema under which restored tables are found in the end. */
	finalSchema(schema: string): string {
		return schema === this.fromSchema ? this.options.intoSchema! : schema;
	}

	private chosen(): ScriptObject[] {
		return this.dump.objects.filter(({ id }) => !this.selected || this.selected.ids.has(id));
	}

	private chosenTables() {
		if (!this.selected) return this.dump.tables;
		const keys = new Set(
			this.chosen().flatMap(({ desc, relation }) =>
				desc === 'TABLE DATA' && relation ? [relationKey(relation)] : [],
			),
		);
		return this.dump.tables.filter(({ table }) => keys.has(relationKey(table)));
	}

	private isKept({ id, desc, tag, schema, dependencies = [] }: ScriptObject): boolean {
		if (this.keptIds.has(id)) return true;
		if (!remarkKinds.test(desc)) return false;
		// The tag of a comment or privilege names its object.
		return (
			this.keptNames.has(`${schema ?? ''} ${tag}`) || dependencies.some((other) => this.keptIds.has(other))
		);
	}

	private isOfMovedSchema({ desc, tag }: ScriptObject): boolean {
		const { fromSchema } = this;
		if (fromSchema === undefined) return false;
		return desc === 'SCHEMA' ? tag === fromSchema : tag === `SCHEMA ${fromSchema}`;
	}

	private requireTables(tables: readonly QualifiedName[]): void {
		const missing = tables.filter((table) => !this.existing.has(relationKey(table)));
		if (missing.length === 0) return;
		const names = missing.slice(0, 5).map(({ schema, name }) => `${schema ?? ''}.${name}`);
		throw new LifeboatError(
			'TABLES_MISSING',
			`Only rows are to be restored, but the database has no ${names.join(', ')}${missing.length > 5 ? ' and more' : ''}. Nothing was changed`,
			{
				hint: 'Restore the tables as well, or choose among them',
			},
		);
	}

	/** The schema of the dump gets the place of the one it goes into: all names then fit, in functions and defaults as well. */
	private async makeRoomForSchema(): Promise<void> {
		const { client, fromSchema: from } = this;
		if (from === undefined) return;
		const into = this.options.intoSchema!;
		const names = await client.query<{ name: string }>(
			'SELECT nspname::text AS name FROM pg_catalog.pg_namespace',
		);
		const there = new Set(names.rows.map(({ name }) => name));
		const rename = (a: string, b: string) =>
			`ALTER SCHEMA ${quoteIdentifier(a)} RENAME TO ${quoteIdentifier(b)}`;
		const aside = `lifeboat_${randomBytes(6).toString('hex')}`;
		if (there.has(from)) await client.query(rename(from, aside));
		await client.query(there.has(into) ? rename(into, from) : `CREATE SCHEMA ${quoteIdentifier(from)}`);
		this.afterwards = [rename(from, into), ...(there.has(from) ? [rename(aside, from)] : [])];
		const isScript = this.dump.objects.every(({ dependencies }) => dependencies === undefined);
		if (there.has(from) && isScript) {
			this.lent = new LentObjects(client, quoteIdentifier(aside), quoteIdentifier(from));
			await this.lent.lend(this.chosen());
		}
		if (this.chosen().some(({ desc }) => /^(?:FUNCTION|PROCEDURE)$/.test(desc)))
			this.warnings.push(
				`Functions were restored into schema ${into}: where their bodies name the schema ${from}, they still do`,
			);
	}

	private async readExisting(): Promise<void> {
		const { rows } = await this.client.query<{ schema: string; name: string }>(
			`SELECT n.nspname::text AS schema, c.relname::text AS name FROM pg_catalog.pg_class c
			JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')`,
		);
		this.existing.clear();
		for (const row of rows) this.existing.add(relationKey(row));
	}

	/** As pg_restore's -n and -t don't: what is restored needs its schema. */
	private async makeSchemas(): Promise<void> {
		if (!this.selected || this.options.content === 'data') return;
		const { ids, support, schemas, supportSchemas } = this.selected;
		const needed = [...schemas, ...supportSchemas].filter((schema) => schema !== 'pg_catalog');
		const dumped = new Set(
			this.dump.objects.flatMap(({ id, desc, tag }) =>
				desc === 'SCHEMA' && (ids.has(id) || support.has(id)) ? [tag] : [],
			),
		);
		for (const schema of needed) {
			if (!dumped.has(schema))
				await this.client.query(`CREATE SCHEMA IF NOT EXISTS ${quoteIdentifier(schema)}`);
		}
	}
}

/** Rows, sequence values, and large objects with all that belongs to them: they have no definition without their content. */
export function isData({ head, sql }: Pick<SqlStatement, 'head' | 'sql'>): boolean {
	if (head[0] === 'COPY' || head[0] === 'INSERT') return true;
	const start = sql.toString('latin1', 0, 400);
	if (/^(?:ALTER|COMMENT ON|(?:GRANT|REVOKE) [^"']* ON) LARGE OBJECT /.test(start)) return true;
	if (/^SECURITY LABEL FOR .* ON LARGE OBJECT \d+ IS /.test(start)) return true;
	return /^SELECT pg_catalog\.(?:setval|lo_\w+|lowrite)\(/.test(start);
}
