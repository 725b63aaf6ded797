import type { Client } from 'pg';

import { LifeboatError } from '../../../../errors';
import { quoteQualified } from '../../identifiers';
import type { PostgresRestoreOptions } from '../options';
import type { ObjectComment, SqlStatement } from '../sql/lexer';
import type { QualifiedName } from '../sql/statement';

import { Attachments } from './attachments';
import { dropParts } from './drop-parts';
import { ExistingTables } from './existing-tables';
import { KeptObjects } from './kept-objects';
import { isData } from './kinds';
import { findLeftOut } from './left-out';
import { LastStatements } from './last-statements';
import { insertedTable, insertIntoExisting } from './merge-insert';
import { MovedSchema } from './moved-schema';
import {
	isSessionStatement,
	relationKey,
	requireObjects,
	type ScriptObject,
	type ScriptObjects,
} from './objects';
import { selectParts, type SelectedParts } from './parts';
import { HeldPlacement } from './placement';
import { makeSchemas, presentRelations } from './present';
import { onlySchemaOf, requireMergeable, requireNoneMissing } from './refusals';

/** What becomes of a statement: `attempt` keeps an object that is there already. */
export type PartDecision = 'run' | 'skip' | 'attempt';

const supportsAttempt = /^(?:SCHEMA|EXTENSION)$/;

/** A restore of parts, of rows or definitions alone, into another schema, or into what is there. */
export class PartialRestore {
	readonly warnings: string[] = [];

	private readonly selected: SelectedParts | undefined;

	private readonly byId: ReadonlyMap<number, ScriptObject>;

	/** Relations of the target before the restore. */
	private readonly existing = new Set<string>();

	private leftOut: ReadonlySet<number> = new Set();

	private readonly kept = new KeptObjects();

	private readonly tables: ExistingTables;

	private readonly last: LastStatements;

	private readonly attachments: Attachments;

	private readonly placement = new HeldPlacement();

	/** Where a schema of the dump goes into another one. */
	private readonly moved: MovedSchema | undefined;

	constructor(
		private readonly client: Client,
		private readonly dump: ScriptObjects,
		private readonly options: PostgresRestoreOptions,
	) {
		const { parts, intoSchema, ifNotEmpty } = options;
		this.byId = new Map(dump.objects.map((object) => [object.id, object]));
		if (parts) requireObjects(dump, 'no parts of it can be restored');
		this.selected = parts && selectParts(dump.objects, parts);
		requireMergeable(dump, this.chosen(), options);
		if (intoSchema !== undefined) {
			const from = onlySchemaOf(this.selected);
			if (from !== intoSchema) this.moved = new MovedSchema(client, from, intoSchema);
		}
		this.tables = new ExistingTables(client);
		this.last = new LastStatements(client);
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

	/** The statement as it is to be run, where it loads rows into a table that was there. @throws as `insertIntoExisting`. */
	adapted(sql: Buffer): Buffer {
		const table = insertedTable(sql);
		return table && this.tables.has(table) ? insertIntoExisting(sql, table, this.mergeKey(table)) : sql;
	}

	/** To be called first in the transaction. */
	async prepare(): Promise<void> {
		// So that definitions are told with the schemas of all they name.
		await this.client.query('SET LOCAL search_path = pg_catalog');
		const isScript = this.dump.objects.every(({ dependencies }) => dependencies === undefined);
		this.warnings.push(...((await this.moved?.makeRoom(this.chosen(), isScript)) ?? []));
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
		this.attachments.existing = this.existing;
		await this.attachments.readPublications(this.client);
		const without = this.attachments.withoutPublication();
		const leftOut = findLeftOut(this.selected, this.existing, this.byId, without);
		this.leftOut = leftOut.ids;
		this.warnings.push(...leftOut.warnings);
		const into = this.chosenTables().filter(
			({ table }) => content === 'data' || this.existing.has(relationKey(table)),
		);
		if (content === 'data')
			requireNoneMissing(into.flatMap(({ table }) => (this.existing.has(relationKey(table)) ? [] : [table])));
		if (content !== 'schema') await this.tables.prepare({ tables: into, rows: ifNotEmpty, triggers });
		if (this.selected && content !== 'data') await makeSchemas(this.client, this.dump, this.selected);
		await this.client.query('SET LOCAL search_path TO DEFAULT');
	}

	decide(statement: SqlStatement): PartDecision {
		if (isSessionStatement(statement)) return this.placement.holds(statement) ? 'skip' : 'run';
		const { content = 'all', ifNotEmpty } = this.options;
		if (content !== 'all' && isData(statement) !== (content === 'data')) return 'skip';
		const object = statement.object && (this.byId.get(statement.object.id) ?? undefined);
		if (!object) return 'run';
		if (this.selected && !this.selected.ids.has(object.id)) {
			if (!this.selected.support.has(object.id) || this.kept.has(object)) return 'skip';
			return 'attempt';
		}
		if (this.leftOut.has(object.id) || this.kept.has(object) || this.moved?.isItself(object)) return 'skip';
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
		if (object) this.kept.add(object);
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
			this.last.add(statement.sql.toString('utf8'));
			return true;
		}
		const { desc, schema, tag } = statement.object ?? {};
		if (desc !== undefined && desc !== 'SEQUENCE SET') return false;
		if (tag !== undefined && !this.existing.has(relationKey({ schema, name: tag }))) return false;
		return this.last.addSetval(statement.sql.toString('utf8'), this.options.ifNotEmpty === 'merge');
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
		await this.last.run();
		await this.moved?.giveBack();
	}

	/** The schema under which restored tables are found in the end. */
	finalSchema(schema: string): string {
		return this.moved?.finalName(schema) ?? schema;
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

	private async readExisting(): Promise<void> {
		this.existing.clear();
		for (const key of await presentRelations(this.client)) this.existing.add(key);
	}
}
