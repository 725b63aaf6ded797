import type { TocEntry } from '../../archive/types';
import { quoteIdentifier, quoteQualified } from '../../identifiers';

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

/** Gives an entry's object its owner; empty where that has none of its own. */
export function ownerStatement(entry: TocEntry): string {
	if (!entry.owner || !entry.dropStmt) return '';
	const object = alterName(entry);
	return object === undefined ? '' : `ALTER ${object} OWNER TO ${quoteIdentifier(entry.owner)};\n`;
}

function alterName(entry: TocEntry): string | undefined {
	if (entry.desc === 'BLOB') return `LARGE OBJECT ${entry.tag}`;
	if (namedByTag.has(entry.desc)) return `${entry.desc} ${qualifiedName(entry)}`;
	if (namedByDrop.has(entry.desc)) return entry.dropStmt!.replace(/^DROP\s+/, '').replace(/[;\s]+$/, '');
	return undefined;
}

/** As ALTER takes it. */
export function qualifiedName({ namespace, tag }: Pick<TocEntry, 'namespace' | 'tag'>): string {
	return namespace ? quoteQualified(namespace, tag) : quoteIdentifier(tag);
}
