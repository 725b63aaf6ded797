import { LifeboatError } from '../../../../errors';
import { separateLargeObjects } from '../../archive/large-objects';
import { restorePass, type RestorePass } from '../../archive/sections';
import { selectEntries } from '../../archive/selection';
import { archiveSettings } from '../../archive/text';
import type {
	ArchiveReader,
	ArchiveToc,
	DataBlock,
	EntrySelection,
	LargeObjectsBlock,
	SelectedEntry,
	TocEntry,
} from '../../archive/types';
import { quoteIdentifier, quoteLiteral } from '../../identifiers';

import { EarlyBuilds } from '../builds/early-builds';

/** As much of a large object as pg_restore writes at a time. */
const LARGE_OBJECT_PIECE = 16_384;

/** What pg_restore sets before anything else; settings that the server doesn't know are left out later. */
const sessionSettings = [
	'SET statement_timeout = 0;',
	'SET lock_timeout = 0;',
	'SET idle_in_transaction_session_timeout = 0;',
	'SET check_function_bodies = false;',
	'SET xmloption = content;',
	'SET client_min_messages = warning;',
	'SET row_security = off;',
];

/** Kinds whose owner is set by a name made of schema and tag (`_getObjectDescription` in pg_backup_archiver.c). */
const namedByTag = new Set(
	(
		'COLLATION|CONVERSION|DOMAIN|FOREIGN TABLE|MATERIALIZED VIEW|SEQUENCE|STATISTICS|TABLE|TEXT SEARCH DICTIONARY|' +
		'TEXT SEARCH CONFIGURATION|TYPE|VIEW|PROCEDURAL LANGUAGE|SCHEMA|EVENT TRIGGER|FOREIGN DATA WRAPPER|SERVER|' +
		'PUBLICATION|SUBSCRIPTION'
	).split('|'),
);

/** Kinds whose DROP statement holds the name that ALTER takes. */
const namedByDrop = new Set(
	'AGGREGATE|FUNCTION|OPERATOR|OPERATOR CLASS|OPERATOR FAMILY|PROCEDURE'.split('|'),
);

/** The part of an archive's script that lies before the first rows, and the one behind; or both. */
export type ScriptPart = 'all' | 'before rows' | 'behind';

/** The SQL script that a custom archive stands for, as `pg_restore -f -` prints it, in constant memory. */
export class ArchiveSource {
	/** What is restored, in the archive's order. */
	readonly selected: readonly SelectedEntry[];

	private readonly toc: ArchiveToc;

	private readonly blocks: Blocks;

	private readonly place: Placement;

	private rows: AsyncIterable<Buffer> | undefined;

	/**
	 * @param selection which entries; all of them unless given.
	 * @param wants narrows it further. @param isCommented name the object before its statements, as a script of pg_dump does.
	 * @throws LifeboatError `INVALID_OPTION` for a selection that does not fit.
	 */
	constructor(
		private readonly reader: ArchiveReader,
		selection: EntrySelection = {},
		wants: (id: number, what: 'schema' | 'data') => boolean = () => true,
		private readonly isCommented = false,
	) {
		this.toc = separateLargeObjects(reader.toc);
		this.selected = selectEntries(this.toc, selection).flatMap(({ entry, schema, data }) => {
			const part = {
				schema: schema && wants(entry.dumpId, 'schema'),
				data: data && wants(entry.dumpId, 'data'),
			};
			return part.schema || part.data ? [{ entry, ...part }] : [];
		});
		this.blocks = new Blocks(reader, this.toc);
		this.place = new Placement(archiveSettings(this.toc).searchPath === undefined);
	}

	/** Where the reading is, in bytes of the archive. */
	get position(): number {
		return this.reader.position;
	}

	/** The rows of the COPY statement that the script gave last: they don't stand in it. */
	takeRows(): AsyncIterable<Buffer> | undefined {
		const { rows } = this;
		this.rows = undefined;
		return rows;
	}

	/**
	 * The text. The archive is read to its end with the last part: only there is it certain that it was whole.
	 *
	 * @param loaded dumpIds of tables whose rows were loaded otherwise, by a reader that came to the end of the archive.
	 * @param built dumpIds of entries whose statements were run otherwise.
	 * @throws LifeboatError `ARCHIVE_DAMAGED`, or `INVALID_OPTION` where the selection asks for another order than the archive's.
	 */
	async *script(
		part: ScriptPart = 'all',
		loaded: ReadonlySet<number> = new Set(),
		built: ReadonlySet<number> = new Set(),
	): AsyncGenerator<Buffer, void, undefined> {
		const bytes = (text: string) => this.bytes(text);
		if (part !== 'behind') yield bytes(this.head());
		for (const { entry, schema, data } of this.partOf(part)) {
			if (built.has(entry.dumpId)) continue;
			if (this.isCommented) yield bytes(commentOf(entry));
			if (hasStatements({ entry, schema, data })) {
				yield bytes(
					`${this.place.before(entry)}${entry.defn ?? ''}\n${this.place.behind(entry)}${ownerStatement(entry)}`,
				);
			}
			if (data && entry.hasData && !loaded.has(entry.dumpId)) {
				yield* this.dataOf(await this.blocks.of(entry), bytes);
			}
		}
		if (part === 'before rows') return;
		// Whoever has loaded the rows has read to the end.
		const others = this.selected.some(
			({ entry, data }) => data && entry.hasData && !loaded.has(entry.dumpId),
		);
		if (loaded.size === 0 || others) await this.blocks.finish();
	}

	/**
	 * The statements of an entry by themselves, to be run before its turn.
	 *
	 * @returns undefined where the script would have to set something before them.
	 */
	statementsOf(entry: TocEntry): Buffer | undefined {
		return this.place.suits(entry) ? this.bytes(entry.defn ?? '') : undefined;
	}

	/** What has to be restored behind the part before the first rows. */
	earlyBuilds(): EarlyBuilds {
		return new EarlyBuilds(this.toc, this.partOf('behind'));
	}

	private bytes(text: string): Buffer {
		return Buffer.from(text, this.toc.textEncoding === 'utf8' ? 'utf8' : 'latin1');
	}

	/** All that the script sets before anything else. */
	private head(): string {
		const settings = archiveSettings(this.toc);
		return [
			`-- Dumped from database version ${this.toc.serverVersion ?? 'unknown'}`,
			...sessionSettings,
			`SET client_encoding = ${quoteLiteral(settings.encoding)};`,
			`SET standard_conforming_strings = ${settings.standardConformingStrings ? 'on' : 'off'};`,
			settings.searchPath ?? '',
			'',
		].join('\n');
	}

	private partOf(part: ScriptPart): SelectedEntry[] {
		const ordered = (['main', 'acl', 'post-acl'] satisfies RestorePass[]).flatMap((pass) =>
			this.selected.filter(({ entry }) => restorePass(entry) === pass),
		);
		if (part === 'all') return ordered;
		const first = ordered.findIndex(({ entry, data }) => data && entry.hasData);
		const at = first === -1 ? ordered.length : first;
		return part === 'before rows' ? ordered.slice(0, at) : ordered.slice(at);
	}

	private async *dataOf(
		block: DataBlock,
		bytes: (text: string) => Buffer,
	): AsyncGenerator<Buffer, void, undefined> {
		if (block.kind === 'large-objects') {
			yield* largeObjects(block);
			return;
		}
		const { copyStmt } = block.entry;
		if (!copyStmt) {
			yield* block.content();
			return;
		}
		this.rows = block.uncountedRows();
		yield bytes(copyStmt.endsWith('\n') ? copyStmt : `${copyStmt}\n`);
	}
}

/**
 * The script as one text, with its rows, as `pg_restore -f -` prints it.
 *
 * @param selection which entries; all of them unless given.
 * @throws as `ArchiveSource`.
 */
export async function* archiveScript(
	reader: ArchiveReader,
	selection: EntrySelection = {},
): AsyncGenerator<Buffer, void, undefined> {
	const source = new ArchiveSource(reader, selection);
	yield Buffer.from('-- PostgreSQL database dump\n');
	for await (const text of source.script()) {
		yield text;
		const rows = source.takeRows();
		if (!rows) continue;
		yield* rows;
		yield Buffer.from('\\.\n\n');
	}
	yield Buffer.from('\n-- PostgreSQL database dump complete\n');
}

/** As pg_dump writes it: a name may hold anything but a line break. */
function commentOf({ dumpId, tag, desc, namespace, owner }: TocEntry): string {
	const line = (text: string | null) =>
		text === null || text === '' ? '-' : text.replaceAll(/[\r\n]/g, ' ');
	return `-- TOC entry ${dumpId} (class 0 OID 0)\n-- Name: ${line(tag)}; Type: ${desc}; Schema: ${line(namespace)}; Owner: ${line(owner)}\n`;
}

/** Sequence values and large objects count as data although they are statements. */
function hasStatements({ entry, schema, data }: SelectedEntry): boolean {
	return schema || (data && !entry.hasData);
}

async function* largeObjects(block: LargeObjectsBlock): AsyncGenerator<Buffer, void, undefined> {
	for await (const { oid, content } of block.objects()) {
		yield Buffer.from(`SELECT pg_catalog.lo_open('${oid}', 131072);\n`);
		for await (const chunk of content()) {
			for (let from = 0; from < chunk.length; from += LARGE_OBJECT_PIECE) {
				const piece = chunk.toString('hex', from, from + LARGE_OBJECT_PIECE);
				yield Buffer.from(`SELECT pg_catalog.lowrite(0, '\\x${piece}');\n`);
			}
		}
		yield Buffer.from('SELECT pg_catalog.lo_close(0);\n');
	}
}

/** Where the next object goes: tablespace, access method and, for archives older than PostgreSQL 10.3, schema. */
class Placement {
	private tablespace: string | undefined;

	private accessMethod: string | undefined;

	private schema: string | undefined;

	constructor(private readonly setsSchema: boolean) {}

	/** Whether an index or a key goes where the last entry went, and so needs no setting. */
	suits({ namespace, tablespace }: TocEntry): boolean {
		const isInSchema = !this.setsSchema || !namespace || namespace === this.schema;
		return isInSchema && (tablespace ?? '') === this.tablespace;
	}

	before(entry: TocEntry): string {
		const statements: string[] = [];
		if (this.setsSchema && entry.namespace && entry.namespace !== this.schema) {
			this.schema = entry.namespace;
			statements.push(`SET search_path = ${quoteIdentifier(entry.namespace)}, pg_catalog;\n`);
		}
		const tablespace = entry.tablespace ?? '';
		if (tablespace !== this.tablespace) {
			this.tablespace = tablespace;
			statements.push(
				`SET default_tablespace = ${tablespace === '' ? "''" : quoteIdentifier(tablespace)};\n`,
			);
		}
		// A partitioned table has no storage: its access method is set behind it.
		if (entry.tableam && entry.relkind !== 'p' && entry.tableam !== this.accessMethod) {
			this.accessMethod = entry.tableam;
			statements.push(`SET default_table_access_method = ${quoteIdentifier(entry.tableam)};\n`);
		}
		return statements.join('');
	}

	behind(entry: TocEntry): string {
		if (!entry.tableam || entry.relkind !== 'p') return '';
		return `ALTER TABLE ${qualified(entry)} SET ACCESS METHOD ${quoteIdentifier(entry.tableam)};\n`;
	}
}

function ownerStatement(entry: TocEntry): string {
	if (!entry.owner || !entry.dropStmt) return '';
	const object = alterName(entry);
	return object === undefined ? '' : `ALTER ${object} OWNER TO ${quoteIdentifier(entry.owner)};\n`;
}

function alterName(entry: TocEntry): string | undefined {
	if (entry.desc === 'BLOB') return `LARGE OBJECT ${entry.tag}`;
	if (namedByTag.has(entry.desc)) return `${entry.desc} ${qualified(entry)}`;
	if (namedByDrop.has(entry.desc)) return entry.dropStmt!.replace(/^DROP\s+/, '').replace(/[;\s]+$/, '');
	return undefined;
}

function qualified({ namespace, tag }: TocEntry): string {
	return `${namespace ? `${quoteIdentifier(namespace)}.` : ''}${quoteIdentifier(tag)}`;
}

/** The data blocks, which can only be read in the order they have in the file. */
class Blocks {
	private readonly blocks: AsyncGenerator<DataBlock, void, undefined>;

	private readonly order: readonly number[];

	private next = 0;

	constructor(reader: ArchiveReader, toc: ArchiveToc) {
		this.blocks = reader.blocks();
		this.order = toc.entries.filter(({ hasData }) => hasData).map(({ dumpId }) => dumpId);
	}

	async of(entry: TocEntry): Promise<DataBlock> {
		for (;;) {
			const { value: block } = await this.blocks.next();
			if (block) {
				this.next += 1;
				if (block.entry.dumpId === entry.dumpId) return block;
				await block.skip();
				continue;
			}
			throw new LifeboatError(
				'INVALID_OPTION',
				`The rows of ${entry.tag} lie further to the front of the archive than they are asked for (${this.next} of ${this.order.length} blocks were read)`,
				{ hint: 'Leave the order of data entries in the list as it is in the archive' },
			);
		}
	}

	async finish(): Promise<void> {
		for (;;) {
			const { value: block } = await this.blocks.next();
			if (!block) return;
			await block.skip();
		}
	}
}
