import type { INodeProperties } from 'n8n-workflow';

import { caCertificateOption, optionsCollection } from '../shared/properties';
import { sqlChecksField } from '../shared/sql-checks';

/** Where nobody uses what is restored until it is whole. */
const beside = { '/target': ['new', 'swap'] };

/** They stand last, behind what both operations have. */
export const options: INodeProperties[] = [
	optionsCollection(
		[
			caCertificateOption,
			{
				displayName: 'Collect Statistics',
				name: 'analyze',
				type: 'boolean',
				default: false,
				description: "Whether to run ANALYZE afterwards, so that the server's first queries are planned well",
			},
			{
				displayName: 'Database Properties',
				name: 'databaseProperties',
				type: 'options',
				options: [
					{
						name: 'From Backup',
						value: 'backup',
						description: 'The database gets what that of the backup had',
					},
					{
						name: 'Of Target',
						value: 'target',
						description: 'The database keeps what it has; a new one has none',
					},
				],
				default: 'backup',
				description:
					"Where the database's settings, comment, security labels, owner, privileges and connection limit come from. Without this option: from the backup for a new database, else of the target.",
			},
			{
				displayName: 'Definitions and Rows',
				name: 'content',
				type: 'options',
				options: [
					{ name: 'Both', value: 'all', description: 'Tables and what is in them' },
					{ name: 'Definitions Only', value: 'schema', description: 'Everything but rows, without them' },
					{
						name: 'Rows Only',
						value: 'data',
						description:
							'Into tables that are there; they must have the columns. With If Target Is Not Empty set to Remove Everything in It, their rows are removed first.',
					},
				],
				default: 'all',
				description: 'What of each object to restore',
			},
			{
				displayName: 'Dry Run',
				name: 'dryRun',
				type: 'boolean',
				default: false,
				description:
					'Whether to tell only what would be created, dropped and overwritten, one item an object, and touch nothing',
			},
			{
				displayName: 'If the Script Creates a Database',
				name: 'metaCommands',
				type: 'options',
				options: [
					{
						name: 'Load Into the Target',
						value: 'skip-connect',
						description:
							'Leave out what creates, drops and connects to a database, and load the rest into the target',
					},
					{ name: 'Stop', value: 'refuse', description: 'Fail, and change nothing' },
				],
				default: 'refuse',
				description:
					'What to do when a plain SQL script creates the database that it fills, or connects to it',
			},
			{
				displayName: 'Into Schema',
				name: 'intoSchema',
				type: 'string',
				default: '',
				placeholder: 'e.g. shop_yesterday',
				description:
					'The schema to restore into, made if need be; what is restored must come from a single schema',
			},
			{
				displayName: 'Only Schemas',
				name: 'schemas',
				type: 'string',
				typeOptions: { multipleValues: true, multipleValueButtonText: 'Add schema' },
				default: [],
				placeholder: 'e.g. shop',
				description: 'The schemas to restore, with all that lies in them',
			},
			{
				displayName: 'Only Tables',
				name: 'tables',
				type: 'string',
				typeOptions: { multipleValues: true, multipleValueButtonText: 'Add table' },
				default: [],
				placeholder: 'e.g. public.orders',
				description: 'The tables, views and sequences to restore, with all that belongs to them',
			},
			{
				displayName: 'Parallel Connections',
				name: 'parallelConnections',
				type: 'number',
				typeOptions: { minValue: 1, maxValue: 32 },
				default: 1,
				description:
					'How many connections load tables and build indexes at the same time, into a new database or for a swap. Into an existing database the restore is one transaction, and so one connection.',
			},
			{
				displayName: 'Replace Roles',
				name: 'roles',
				type: 'fixedCollection',
				typeOptions: { multipleValues: true },
				default: {},
				placeholder: 'Add role',
				description:
					'Roles that take the place of those in the dump, as owners and where something is granted',
				options: [
					{
						displayName: 'Role',
						name: 'role',
						values: [
							{
								displayName: 'In the Dump',
								name: 'from',
								type: 'string',
								default: '',
								placeholder: 'e.g. shop_owner',
								description: 'The name of the role in the dump',
							},
							{
								displayName: 'On the Target',
								name: 'to',
								type: 'string',
								default: '',
								placeholder: 'e.g. app',
								description: 'The name of the role that takes its place',
							},
						],
					},
				],
			},
			{
				...sqlChecksField,
				description:
					'Questions to the restored database, asked read-only before it takes the place of the present one or is kept. A wrong answer ends the restore, and nothing has changed.',
				displayOptions: { show: beside },
			},
			{
				displayName: 'Time for Each Check (Seconds)',
				name: 'checkTimeout',
				type: 'number',
				typeOptions: { minValue: 1 },
				default: 60,
				description: 'How long an SQL check may take',
				displayOptions: { show: beside },
			},
			{
				displayName: 'Triggers of Present Tables',
				name: 'triggers',
				type: 'options',
				options: [
					{ name: 'Fire', value: 'fire', description: 'They fire for each row, and may change it' },
					{
						name: 'Off',
						value: 'off',
						description: 'They are off while rows are loaded, which come as they are in the backup',
					},
				],
				default: 'off',
				description:
					'What triggers do when rows are loaded into tables that are there. Foreign keys are checked in any case.',
			},
			{
				displayName: 'Without Owners',
				name: 'noOwner',
				type: 'boolean',
				default: false,
				description: 'Whether to leave out who owns what, so that the user of the credential owns everything',
			},
			{
				displayName: 'Without Privileges',
				name: 'noPrivileges',
				type: 'boolean',
				default: false,
				description: 'Whether to leave out who was granted what',
			},
		],
		{ show: { operation: ['database'] } },
	),
];
