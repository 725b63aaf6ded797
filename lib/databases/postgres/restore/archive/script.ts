import { separateLargeObjects } from '../../archive/large-objects';
import { restorePass, type RestorePass } from '../../archive/sections';
import { selectEntries } from '../../archive/selection';
import { archiveSettings } from '../../archive/text';
import type {
	ArchiveReader,
	ArchiveToc,
	DataBlock,
	EntrySelection,
	SelectedEntry,
	TocEntry,
} from '../../archive/types';
import { quoteLiteral } from '../../identifiers';

import { EarlyBuilds } from '../builds/early-builds';

import { databasePropertiesOf } from './database-entries';
import { largeObjectStatements } from './large-object-statements';
import { OrderedBlocks } from './ordered-blocks';
import { ownerStatement } from './owner-statement';
import { Placement } from './placement';

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

/** The part of an archive's script that lies before the first rows, and the one behind; or both. */
export type ScriptPart = 'all' | 'before rows' | 'behind';

/** The SQL script that a custom archive stands for, as `pg_restore -f -` prints it, in constant memory. */
export class ArchiveSource {
	/** What is restored, in the archive's order. */
	readonly selected: readonly SelectedEntry[];

	private readonly toc: ArchiveToc;

	private readonly blocks: OrderedBlocks;

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
		this.blocks = new OrderedBlocks(reader, this.toc);
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

	/** The statements about the database as a whole, which are not part of the script. */
	databaseProperties(): Buffer {
		return this.bytes(databasePropertiesOf(this.toc));
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
			yield* largeObjectStatements(block);
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
