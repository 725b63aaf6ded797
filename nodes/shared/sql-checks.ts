import type { INodeProperties } from 'n8n-workflow';

import type { SqlCheck } from '../../lib/databases/scratch';
import { LifeboatError } from '../../lib/errors';

/** The field in which questions to a restored database are put; it needs a description of its own. */
export const sqlChecksField = {
	displayName: 'SQL Checks',
	name: 'sqlChecks',
	type: 'fixedCollection',
	typeOptions: { multipleValues: true },
	placeholder: 'Add check',
	default: {},
	options: [
		{
			displayName: 'Check',
			name: 'check',
			values: [
				{
					displayName: 'Name',
					name: 'name',
					type: 'string',
					default: '',
					placeholder: 'e.g. Orders of today',
					description: 'How the result calls it',
				},
				{
					displayName: 'SQL',
					name: 'sql',
					type: 'string',
					typeOptions: { rows: 2 },
					default: '',
					placeholder: 'e.g. SELECT count(*) > 1000 FROM orders',
					description: 'One SELECT',
				},
				{
					displayName: 'Expected',
					name: 'expect',
					type: 'options',
					options: [
						{ name: 'A Number Above Zero', value: 'positive', description: 'One value' },
						{ name: 'Equal To', value: 'equals', description: 'One value that reads like the one given' },
						{ name: 'No Rows', value: 'noRows', description: 'Such as a search for orphans' },
						{ name: 'Rows', value: 'rows', description: 'At least one' },
						{ name: 'True', value: 'true', description: 'One value' },
					],
					default: 'true',
					description: 'What the answer must be',
				},
				{
					displayName: 'Value',
					name: 'value',
					type: 'string',
					default: '',
					description: 'What the answer must read like',
					displayOptions: { show: { expect: ['equals'] } },
				},
			],
		},
	],
} satisfies INodeProperties;

/** As the panel holds it. */
export interface SqlChecksValue {
	check?: (Omit<SqlCheck, 'expect'> & { expect?: SqlCheck['expect'] })[];
}

/** The questions of the panel. @throws LifeboatError `INVALID_OPTION` for one without SQL. */
export function sqlChecksOf({ check = [] }: SqlChecksValue): SqlCheck[] {
	return check.map(({ name, sql, expect, value }, index) => {
		const title = name.trim() || `SQL check ${index + 1}`;
		if (sql.trim() !== '')
			return { name: title, sql, expect: expect ?? 'true', ...(value === undefined ? {} : { value }) };
		throw new LifeboatError('INVALID_OPTION', `The SQL of the check "${title}" is empty`, {
			hint: 'Write one SELECT, or remove the check',
		});
	});
}
