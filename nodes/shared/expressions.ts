import type { IExecuteFunctions } from 'n8n-workflow';

import { LifeboatError } from '../../lib/errors';

/**
 * Fields that stand for everything, or for something else, when they are empty: the whole backup instead of a table, the credential's
 * database instead of the copy of it, no rule instead of one. Of an expression that came out empty this is never meant.
 */
const NEVER_EMPTY: ReadonlyMap<string, string> = new Map([
	['database', 'Database'],
	['expectedEvery', 'Expect a Backup Every'],
	['intoSchema', 'Into Schema'],
	['keepTags', 'Keep Tags'],
	['paths', 'Paths'],
	['roles', 'Replace Roles'],
	['rules', 'Rules'],
	['schemas', 'Only Schemas'],
	['tables', 'Only Tables'],
	['targetDatabase', 'Target Database'],
]);

/** Likewise, but an expression may say on purpose, by an empty text, that there is nothing. Only a value that isn't there is a slip. */
const NEVER_MISSING: ReadonlyMap<string, string> = new Map([
	['backupName', 'Backup Name'],
	['entry', 'Entry'],
	['folder', 'Folder'],
	['madeBefore', 'Made Before'],
	['prefix', 'Prefix'],
	['targetPrefix', 'Target Prefix'],
]);

/**
 * Refuses an item for which an expression came out empty in a field that must not be taken for an empty one: a field of the item that is
 * missing, or misspelt, must not widen what is backed up, deleted or overwritten, nor narrow what is kept.
 *
 * @throws LifeboatError `EMPTY_EXPRESSION`.
 */
export function refuseEmptyExpressions(context: IExecuteFunctions, itemIndex: number): void {
	for (const path of expressionsIn(context.getNode().parameters)) {
		const fields = path.match(/[^.[\]]+/g)!;
		const value: unknown = context.getNodeParameter(path, itemIndex);
		const isMissing = value === undefined || value === null;
		const isEmpty = isMissing || [value].flat().length === 0 || [value].flat().some(isBlank);
		const title =
			(isEmpty && titleIn(NEVER_EMPTY, fields)) || (isMissing && titleIn(NEVER_MISSING, fields)) || '';
		if (title === '') continue;
		throw new LifeboatError('EMPTY_EXPRESSION', `The expression under ${title} came out empty`, {
			hint: `Nothing was done, since the field means something else when it is empty. Correct the expression, or what the item before brings; or leave the field empty if that is meant`,
		});
	}
}

const isBlank = (value: unknown) =>
	value === undefined || value === null || (typeof value === 'string' && value.trim() === '');

function titleIn(titles: ReadonlyMap<string, string>, fields: readonly string[]): string | undefined {
	return fields.map((field) => titles.get(field)).findLast((title) => title !== undefined);
}

/**
 * The first item of each set of values that the node's expressions come to: for what is done once for a storage and not for each item. Items
 * that ask for something else, such as another prefix, are not passed over.
 */
export function itemsThatDiffer(context: IExecuteFunctions): number[] {
	const paths = [...expressionsIn(context.getNode().parameters)];
	const found = new Map<string, number>();
	for (const itemIndex of context.getInputData().keys()) {
		const values = JSON.stringify(paths.map((path) => context.getNodeParameter(path, itemIndex)));
		if (!found.has(values)) found.set(values, itemIndex);
	}
	return [...found.values()];
}

/** The paths of all expressions in a node's parameters, as `getNodeParameter` takes them. */
function* expressionsIn(value: unknown, path = ''): Generator<string> {
	if (typeof value === 'string') {
		if (value.startsWith('=')) yield path;
	} else if (Array.isArray(value)) {
		for (const [index, each] of value.entries()) yield* expressionsIn(each, `${path}[${index}]`);
	} else if (typeof value === 'object' && value !== null) {
		for (const [name, each] of Object.entries(value)) {
			yield* expressionsIn(each, path === '' ? name : `${path}.${name}`);
		}
	}
}
