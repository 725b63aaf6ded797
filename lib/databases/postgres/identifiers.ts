import { escapeIdentifier, escapeLiteral } from 'pg';

/** A name as SQL takes it anywhere, always quoted. */
export const quoteIdentifier = escapeIdentifier;

/** A text as a literal, whatever `standard_conforming_strings` says. */
export const quoteLiteral = escapeLiteral;

/** `"schema"."name"`. */
export function quoteQualified(schema: string, name: string): string {
	return `${escapeIdentifier(schema)}.${escapeIdentifier(name)}`;
}

/** Takes the quotes off a name, if it has any. */
export function unquoteIdentifier(identifier: string): string {
	return identifier.startsWith('"') ? identifier.slice(1, -1).replaceAll('""', '"') : identifier;
}
