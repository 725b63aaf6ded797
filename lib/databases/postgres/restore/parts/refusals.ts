import { LifeboatError } from '../../../../errors';
import type { PostgresRestoreOptions } from '../options';
import type { QualifiedName } from '../sql/statement';

import { requireObjects } from './objects';
import type { SelectedParts } from './parts';
import type { ScriptObject, ScriptObjects } from './script-object';

/**
 * Refuses what a dump does not tell enough for.
 *
 * @param chosen of the dump. @throws LifeboatError `OBJECTS_UNKNOWN`, `MERGE_LARGE_OBJECTS`
 */
export function requireMergeable(
	dump: ScriptObjects,
	chosen: readonly ScriptObject[],
	{ content, ifNotEmpty }: PostgresRestoreOptions,
): void {
	const merges = ifNotEmpty === 'merge';
	if (merges) requireObjects(dump, "it can't be merged");
	if (merges && content !== 'schema' && chosen.some(({ desc }) => desc.startsWith('BLOB'))) {
		throw new LifeboatError(
			'MERGE_LARGE_OBJECTS',
			"The dump holds large objects, which can't be merged: nothing tells which of them are there already",
			{
				hint: 'Choose the tables or schemas to restore: large objects belong to none and are then left out',
			},
		);
	}
}

/** The one schema of what goes into another one. @throws LifeboatError `INVALID_OPTION` */
export function onlySchemaOf(selected: SelectedParts | undefined): string {
	const [schema, another] = selected?.schemas ?? [];
	if (schema !== undefined && another === undefined) return schema;
	throw new LifeboatError('INVALID_OPTION', 'What goes into another schema must come from a single one', {
		hint: 'Choose tables of one schema, or one schema',
	});
}

/** @throws LifeboatError `TABLES_MISSING` if any is given. */
export function requireNoneMissing(missing: readonly QualifiedName[]): void {
	if (missing.length === 0) return;
	const names = missing.slice(0, 5).map(({ schema, name }) => `${schema ?? ''}.${name}`);
	throw new LifeboatError(
		'TABLES_MISSING',
		`Only rows are to be restored, but the database has no ${names.join(', ')}${missing.length > 5 ? ' and more' : ''}. Nothing was changed`,
		{ hint: 'Restore the tables as well, or choose among them' },
	);
}
