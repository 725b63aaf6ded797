import { DateTime } from 'luxon';
import type { IExecuteFunctions } from 'n8n-workflow';

import { LifeboatError } from '../../lib/errors';

/** The text in a field, without white space around it; empty where the field isn't shown. */
export function textParameter(context: IExecuteFunctions, name: string, itemIndex: number): string {
	return asText(context.getNodeParameter(name, itemIndex, ''));
}

/** As `textParameter`, of a field with a list to choose from (a resource locator) or one that holds the text itself. */
export function chosenText(context: IExecuteFunctions, name: string, itemIndex: number): string {
	return asText(context.getNodeParameter(name, itemIndex, '', { extractValue: true }));
}

function asText(value: unknown): string {
	return typeof value === 'string' || typeof value === 'number' ? String(value).trim() : '';
}

/** As `textParameter`. @throws LifeboatError `INVALID_OPTION`, calling the field as the panel does, when it is empty. */
export function requiredText(
	context: IExecuteFunctions,
	name: string,
	itemIndex: number,
	displayName: string,
): string {
	return filled(textParameter(context, name, itemIndex), displayName);
}

/** As `chosenText`. @throws as `requiredText`. */
export function requiredChoice(
	context: IExecuteFunctions,
	name: string,
	itemIndex: number,
	displayName: string,
): string {
	return filled(chosenText(context, name, itemIndex), displayName);
}

function filled(value: string, displayName: string): string {
	if (value !== '') return value;
	throw new LifeboatError('INVALID_OPTION', `The field ${displayName} is empty`, {
		hint: `Fill in ${displayName}`,
	});
}

/**
 * What the field Operation names, of those that the node has.
 *
 * @throws LifeboatError `INVALID_OPTION` for another one, as a workflow of a newer version or one made by hand may name.
 */
export function chosenOperation<Name extends string, Operation>(
	context: IExecuteFunctions,
	operations: Readonly<Record<Name, Operation>>,
	itemIndex: number,
): Operation {
	const name = context.getNodeParameter('operation', itemIndex) as Name;
	if (Object.hasOwn(operations, name)) return operations[name];
	throw new LifeboatError(
		'INVALID_OPTION',
		`This version of Lifeboat does not know the operation "${name}" here`,
		{
			hint: 'Choose one of the list under Operation, or update n8n-nodes-lifeboat',
		},
	);
}

/**
 * The moment in a field, as ISO text in UTC; undefined where it is empty or not shown. A time without a zone is of the workflow's.
 *
 * @throws LifeboatError `INVALID_OPTION`.
 */
export function timeParameter(
	context: IExecuteFunctions,
	name: string,
	itemIndex: number,
	displayName: string,
): string | undefined {
	// An expression may give a date of Luxon's or JavaScript's.
	const value = context.getNodeParameter(name, itemIndex, '') as unknown;
	const iso =
		value instanceof Date ? value.toISOString() : DateTime.isDateTime(value) ? value.toISO() : value;
	const text = typeof iso === 'string' ? iso.trim() : JSON.stringify(iso);
	if (text === '') return undefined;
	const time = DateTime.fromISO(text, { zone: context.getTimezone() });
	if (time.isValid) return time.toUTC().toISO();
	throw new LifeboatError('INVALID_OPTION', `The field ${displayName} holds no time: "${text}"`, {
		hint: 'Choose a date, or give one such as 2026-11-21T14:30, or an expression such as {{ $now.minus({ days: 7 }) }}',
	});
}
