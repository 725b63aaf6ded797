import type { INodeProperties } from 'n8n-workflow';

import { caCertificateOption, optionsCollection } from '../shared/properties';
import { sqlChecksField } from '../shared/sql-checks';

const show = { operation: ['restoreTest'] };

/** They stand before the fields of the storage, if there is one. */
export const description: INodeProperties[] = [
	{
		displayName: 'Restore Databases Into',
		name: 'scratch',
		type: 'options',
		options: [
			{
				name: 'PostgreSQL Inside N8n',
				value: 'process',
				description: 'One that is started for the test and needs no server. It has the common extensions.',
			},
			{
				name: 'Scratch Database on a Server',
				value: 'server',
				description: 'A database that is created for the test and dropped afterwards',
			},
		],
		default: 'process',
		description:
			'The place where a database is restored, only to be looked at. Files go into a temporary folder.',
		displayOptions: { show },
	},
	{
		...sqlChecksField,
		description:
			'Questions to the restored database, asked read-only, each with the answer that it must give',
		displayOptions: { show },
	},
	{
		displayName: 'Write Proof',
		name: 'proof',
		type: 'options',
		options: [
			{
				name: 'Beside the Stored Backup',
				value: 'storage',
				description: 'In a file of its own next to it, which Apply Retention counts',
			},
			{ name: 'No', value: 'none', description: 'The result is in the item only' },
		],
		default: 'none',
		description: 'Whether the result is kept where the backup lies',
		displayOptions: { show },
	},
];

/** They stand last. */
export const options: INodeProperties[] = [
	optionsCollection(
		[
			{ ...caCertificateOption, displayOptions: { show: { '/scratch': ['server'] } } },
			{
				displayName: 'Maintenance Database',
				name: 'maintenanceDatabase',
				type: 'string',
				default: 'postgres',
				description: 'The database to connect to while the scratch database is created and dropped',
				displayOptions: { show: { '/scratch': ['server'] } },
			},
			{
				displayName: 'Time for Each Check (Seconds)',
				name: 'checkTimeout',
				type: 'number',
				typeOptions: { minValue: 1 },
				default: 60,
				description: 'How long an SQL check may take',
			},
			{
				displayName: 'With Owners and Privileges',
				name: 'withOwners',
				type: 'boolean',
				default: false,
				description:
					'Whether the scratch database gets the owners and privileges of the backup. The server must have all the roles.',
				displayOptions: { show: { '/scratch': ['server'] } },
			},
		],
		{ show },
	),
];
