import { PROPERTY_COMMENT } from '../../database-properties';

import type { ObjectComment } from './items';

/** What the comments of pg_dump say of the script. */
export interface DumpComments {
	/** pg_dump's (or pg_dumpall's) header was seen. */
	header: boolean;
	/** The header is pg_dumpall's. */
	isCluster?: boolean;
	/** Its last line was seen. */
	trailer: boolean;
	/** Such as `17.10 (Debian 17.10-1.pgdg12+1)`: the server the dump was taken from. */
	serverVersion?: string;
	/** Statements about the database as a whole, a byte a character. */
	databaseProperties?: string;
}

const objectComment =
	/^(?:Data for |Statistics for )?Name: (.*); Type: ([A-Z][A-Z ]*); Schema: (.*); Owner: (.*?)(?:; Tablespace: .*)?$/s;

/** Reads the comments with which pg_dump heads, ends and divides its scripts. */
export class DumpCommentReader {
	readonly comments: DumpComments = { header: false, trailer: false };

	/** The object that was named last. */
	object: ObjectComment | undefined;

	private objectCount = 0;

	private tocEntry: number | undefined;

	/** @param text of a line comment without its dashes, a byte a character. */
	note(text: string): void {
		const entry = /^TOC entry (\d+) \(class /.exec(text)?.[1];
		if (entry !== undefined) this.tocEntry = Number(entry);
		// A name may hold anything but a line break: what follows it is told from the right.
		const [, tag, desc, schema, owner] = objectComment.exec(text) ?? [];
		if (tag !== undefined && desc !== undefined) this.noteObject(tag, desc, schema, owner);
		else this.noteFrame(text);
	}

	private noteObject(tag: string, desc: string, schema: string | undefined, owner: string | undefined): void {
		this.objectCount += 1;
		const decode = (part: string) => Buffer.from(part, 'latin1').toString('utf8');
		const unlessNone = (part = '-') => (part === '-' ? undefined : decode(part));
		this.object = {
			...{ id: this.tocEntry ?? this.objectCount, desc, tag: decode(tag) },
			...{ schema: unlessNone(schema), owner: unlessNone(owner) },
		};
		this.tocEntry = undefined;
	}

	/** The first and the last lines of the script. */
	private noteFrame(text: string): void {
		const { comments } = this;
		if (/^PostgreSQL database (cluster )?dump$/.test(text)) {
			comments.header = true;
			if (text.includes(' cluster ')) comments.isCluster = true;
			comments.trailer = false;
		} else if (/^PostgreSQL database (cluster )?dump complete$/.test(text)) comments.trailer = true;
		// Only at the head of the script is it certain that they are the dump's own.
		else if (text.startsWith(PROPERTY_COMMENT)) {
			if (comments.header && this.object === undefined)
				comments.databaseProperties = `${comments.databaseProperties ?? ''}${text.slice(PROPERTY_COMMENT.length)}\n`;
		} else if (comments.serverVersion === undefined) {
			const version = /^Dumped from database version (.+)$/.exec(text)?.[1];
			if (version !== undefined) comments.serverVersion = version;
		}
	}
}
