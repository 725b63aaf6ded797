import type { INodeProperties } from 'n8n-workflow';

import { usualZstdLevel } from '../../lib/databases/postgres/dump';
import { caCertificateOption, compressionLevelOption, optionsCollection } from '../shared/properties';
import { tagsOption } from '../shared/tags';

/** A picker that is fed from the database; by expression it takes patterns, too. */
function picker(
	displayName: string,
	name: string,
	loadOptionsMethod: 'getSchemas' | 'getTables',
	what: string,
): INodeProperties {
	return {
		displayName,
		name,
		type: 'multiOptions',
		typeOptions: { loadOptionsMethod, loadOptionsDependsOn: ['database.value', 'options.caCertificate'] },
		default: [],
		description: `${what}. Choose from the list, or give names or patterns (as pg_dump takes them) with an <a href="https://docs.n8n.io/code/expressions/">expression</a>.`,
	};
}

const shared: INodeProperties[] = [
	caCertificateOption,
	{
		...compressionLevelOption,
		default: usualZstdLevel,
		description:
			'Higher is smaller and slower: 1 to 9 for Gzip (6 unless given), 1 to 19 for Zstandard (1 unless given: rows hardly gain from more)',
	},
	{
		displayName: 'Drop Before Creating',
		name: 'clean',
		type: 'options',
		options: [
			{ name: 'No', value: 'no', description: 'For a new or empty database' },
			{ name: 'Yes', value: 'yes', description: 'Restoring fails at objects that are not there' },
			{
				name: 'Yes, If They Exist',
				value: 'ifExists',
				description: 'Objects that are not there are no error',
			},
		],
		default: 'no',
		description: 'Whether the dump first drops what it then creates',
	},
	{
		displayName: 'Dump Engine',
		name: 'dumpEngine',
		type: 'options',
		options: [
			{ name: 'Built-In', value: 'builtIn', description: 'Needs no program on this machine' },
			{
				name: 'Pg_dump Client',
				value: 'client',
				description: 'A pg_dump that is installed where n8n runs, as new as the server or newer',
			},
		],
		default: 'builtIn',
		description: 'What reads the database',
	},
	{
		displayName: 'Dump Engine Path',
		name: 'clientPath',
		type: 'string',
		default: '',
		placeholder: 'e.g. /usr/lib/postgresql/18/bin/pg_dump',
		displayOptions: { show: { dumpEngine: ['client'] } },
		description: 'Where the pg_dump client lies. Empty: it is looked for as a shell would.',
	},
	{
		displayName: 'Host in Manifest',
		name: 'includeHost',
		type: 'boolean',
		default: false,
		description: "Whether the manifest names the server's host, which then lies beside the backup",
	},
	{
		displayName: 'Large Objects',
		name: 'largeObjects',
		type: 'options',
		options: [
			{
				name: 'As Usual',
				value: 'default',
				description: 'With a whole database, but not with a choice of schemas or tables',
			},
			{ name: 'Leave Out', value: 'exclude', description: 'Never' },
			{ name: 'Take In', value: 'include', description: 'Also with a choice of schemas or tables' },
		],
		default: 'default',
		description: 'Whether large objects go into the dump',
	},
	{
		displayName: 'Lock Time-Out (Seconds)',
		name: 'lockTimeout',
		type: 'number',
		typeOptions: { minValue: 1 },
		default: 30,
		description: 'How long to wait for a table that somebody has locked before the dump fails',
	},
	{
		displayName: 'Parallel Connections',
		name: 'parallelConnections',
		type: 'number',
		typeOptions: { minValue: 1, maxValue: 16 },
		default: 2,
		description:
			'Connections that read tables at a time, as of the same moment, with the built-in engine; 1 unless given. It pays with many tables and a server that is far away.',
	},
	{
		displayName: 'Statement Time-Out (Seconds)',
		name: 'statementTimeout',
		type: 'number',
		typeOptions: { minValue: 0 },
		default: 0,
		description: 'How long one statement, such as the reading of one table, may take; 0 for any time',
	},
	tagsOption,
	{
		displayName: 'What to Dump',
		name: 'sections',
		type: 'options',
		options: [
			{ name: 'Rows Only', value: 'data', description: 'For tables that are there already' },
			{ name: 'Schema and Rows', value: 'all', description: 'Everything' },
			{ name: 'Schema Only', value: 'schema', description: 'The same database without rows' },
		],
		default: 'all',
		description: 'Whether definitions, rows or both go into the dump',
	},
	{
		displayName: 'Without Owners',
		name: 'noOwner',
		type: 'boolean',
		default: false,
		description: 'Whether to leave out who owns what, so that whoever restores it owns everything',
	},
	{
		displayName: 'Without Privileges',
		name: 'noPrivileges',
		type: 'boolean',
		default: false,
		description: 'Whether to leave out who was granted what',
	},
];

const choices: INodeProperties[] = [
	picker(
		'Exclude Rows of Tables',
		'excludeTableData',
		'getTables',
		'Tables whose definition is kept but whose rows are left out',
	),
	picker('Exclude Schemas', 'excludeSchemas', 'getSchemas', 'Schemas to leave out'),
	picker('Exclude Tables', 'excludeTables', 'getTables', 'Tables to leave out'),
	picker('Only Schemas', 'schemas', 'getSchemas', 'Schemas to dump instead of all'),
	picker(
		'Only Tables',
		'tables',
		'getTables',
		'Tables to dump instead of all. What they depend on is not added: such a backup may not restore into an empty database',
	),
];

/** Of the dump of one database. */
export const dumpOptionsProperty = optionsCollection([...shared, ...choices], {
	show: { operation: ['dump'] },
});

/** Of the dump of all databases. */
export const dumpAllOptionsProperty = optionsCollection(
	[
		...shared,
		{
			displayName: 'Exclude Databases',
			name: 'excludeDatabases',
			type: 'string',
			typeOptions: { multipleValues: true, multipleValueButtonText: 'Add database' },
			default: [],
			placeholder: 'e.g. scratch',
			description: 'Databases to leave out. Templates never come.',
		},
		{
			displayName: 'Roles and Tablespaces',
			name: 'globals',
			type: 'options',
			options: [
				{ name: 'Leave Out', value: 'exclude', description: 'Databases only' },
				{
					name: 'With Passwords If Permitted',
					value: 'include',
					description: 'With the hashes of passwords where the user may read them',
				},
				{
					name: 'Without Passwords',
					value: 'withoutPasswords',
					description: 'Roles without their passwords',
				},
			],
			default: 'include',
			description: 'Whether one more backup holds what belongs to the server and not to a database',
		},
	],
	{ show: { operation: ['dumpAll'] } },
);

const ofGlobals = new Set(['caCertificate', 'compressionLevel', 'includeHost', 'tags']);

/** Of the dump of roles and tablespaces. */
export const globalsOptionsProperty = optionsCollection(
	shared.filter(({ name }) => ofGlobals.has(name)),
	{ show: { operation: ['dumpGlobals'] } },
);
