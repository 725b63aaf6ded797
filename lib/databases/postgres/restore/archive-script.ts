import { LifeboatError } from '../../../errors';
import { separateLargeObjects } from '../archive/large-objects';
import { restorePass, type RestorePass } from '../archive/sections';
import { selectEntries } from '../archive/selection';
import { archiveSettings } from '../archive/text';
import type {
	ArchiveReader,
	ArchiveToc,
	DataBlock,
	EntrySelection,
	LargeObjectsBlock,
	SelectedEntry,
	TocEntry,
} from '../archive/types';
import { quoteIdentifier, quoteLiteral } from '../identifiers';

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

/**
 * The SQL script that a custom archive stands for, as `pg_restore -f -` prints it, in constant memory.
 *
 * @param selection which entries; all of them unless given.
 * @throws LifeboatError `ARCHIVE_DAMAGED`, or `INVALID_OPTION` where the selection asks for another order than the archive's.
 */
export async function* archiveScript(
	reader: ArchiveReader,
	selection: EntrySelection = {},
): AsyncGenerator<Buffer, void, undefined> {
	const toc = separateLargeObjects(reader.toc);
	const settings = archiveSettings(toc);
	const bytes = (text: string) => Buffer.from(text, toc.textEncoding === 'utf8' ? 'utf8' : 'latin1');
	yield bytes(
		[
			`-- PostgreSQL database dump\n-- Dumped from database version ${toc.serverVersion ?? 'unknown'}`,
			...sessionSettings,
			`SET client_encoding = ${quoteLiteral(settings.encoding)};`,
			`SET standard_conforming_strings = ${settings.standardConformingStrings ? 'on' : 'off'};`,
			settings.searchPath ?? '',
			'',
		].join('\n'),
	);
	const selected = selectEntries(toc, selection);
	const place = new Placement(settings.searchPath === undefined);
	const blocks = new Blocks(reader, toc);
	for (const pass of ['main', 'acl', 'post-acl'] satisfies RestorePass[]) {
		for (const part of selected) {
			if (restorePass(part.entry) !== pass) continue;
			const { entry } = part;
			if (hasStatements(part)) {
				yield bytes(
					`${place.before(entry)}${entry.defn ?? ''}\n${place.behind(entry)}${ownerStatement(entry)}`,
				);
			}
			if (part.data && entry.hasData) yield* dataOf(await blocks.of(entry), bytes);
		}
	}
	// Reads on to the end: only there is it certain that the archive was whole.
	await blocks.finish();
	yield Buffer.from('\n-- PostgreSQL database dump complete\n');
}

/** Sequence values and large objects count as data although they are statements. */
function hasStatements({ entry, schema, data }: SelectedEntry): boolean {
	return schema || (data && !entry.hasData);
}

async function* dataOf(
	block: DataBlock,
	bytes: (text: string) => Buffer,
): AsyncGenerator<Buffer, void, undefined> {
	if (block.kind === 'large-objects') {
		yield* largeObjects(block);
		return;
	}
	const { copyStmt } = block.entry;
	if (copyStmt) {
		yield bytes(copyStmt.endsWith('\n') ? copyStmt : `${copyStmt}\n`);
		yield* block.rows();
		yield Buffer.from('\\.\n\n');
	} else yield* block.content();
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
