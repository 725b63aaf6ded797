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
	const value = textParameter(context, name, itemIndex);
	if (value !== '') return value;
	throw new LifeboatError('INVALID_OPTION', `The field ${displayName} is empty`, {
		hint: `Fill in ${displayName}`,
	});
}
