import type { IDataObject, IExecuteFunctions, INodeExecutionData, INodeProperties } from 'n8n-workflow';

import { produceArtifact } from '../../lib/artifact/produce';
import { applyEncoding } from '../../lib/artifact/transform';
import { compressionEncoding, type CompressionName } from '../../lib/compression/compression';
import { postgresEngine } from '../../lib/databases/postgres';
import { usualZstdLevel, type PostgresDumpOptions } from '../../lib/databases/postgres/dump';
import { emitArtifact, type HandOver } from '../shared/artifacts';
import { postgresConnection } from '../shared/credentials';
import {
	caCertificateOption,
	compressionLevelOption,
	compressionProperty,
	handOverProperty,
} from '../shared/properties';
import { cancelSignal } from '../shared/run';
import { textParameter } from '../shared/parameters';
import { tagged, tagsOption } from '../shared/tags';

export const description: INodeProperties[] = [
	{
		displayName: 'Database',
		name: 'database',
		type: 'resourceLocator',
		default: { mode: 'list', value: '' },
		description: "The database to dump. Empty stands for the credential's.",
		modes: [
			{
				displayName: 'From List',
				name: 'list',
				type: 'list',
				typeOptions: { searchListMethod: 'listDatabases', searchable: true },
			},
			{ displayName: 'By Name', name: 'name', type: 'string', placeholder: 'e.g. shop' },
		],
	},
	{
		displayName: 'Backup Name',
		name: 'name',
		type: 'string',
		default: '',
		placeholder: 'e.g. shop',
		description:
			"The name of this backup job, the same for every run: retention and restore go by it. Empty stands for the database's.",
	},
	{
		displayName: 'Format',
		name: 'format',
		type: 'options',
		options: [
			{
				name: 'Custom Archive',
				value: 'custom',
				description: "PostgreSQL's archive: pg_restore takes single tables or schemas out of it",
			},
			{ name: 'Plain SQL', value: 'plain', description: 'A script that psql takes' },
		],
		default: 'plain',
		description: 'What is written. Both restore everything.',
	},
	{
		...compressionProperty,
		description:
			'How the dump is compressed while it is written. A custom archive with Zstandard needs pg_restore 16 or newer by hand.',
	},
	handOverProperty,
	{
		displayName: 'Options',
		name: 'options',
		type: 'collection',
		placeholder: 'Add option',
		default: {},
		options: [
			caCertificateOption,
			{
				...compressionLevelOption,
				default: usualZstdLevel,
				description:
					'Higher is smaller and slower: 1 to 9 for Gzip (6 unless given), 1 to 19 for Zstandard (1 unless given: rows hardly gain from more)',
			},
			{
				displayName: 'Exclude Rows Of',
				name: 'excludeTableData',
				type: 'string',
				typeOptions: { multipleValues: true, multipleValueButtonText: 'Add table' },
				default: [],
				placeholder: 'e.g. public.sessions',
				description:
					'Tables whose definition is kept but whose rows are left out. Patterns as pg_dump takes them.',
			},
			{
				displayName: 'Exclude Schemas',
				name: 'excludeSchemas',
				type: 'string',
				typeOptions: { multipleValues: true, multipleValueButtonText: 'Add schema' },
				default: [],
				placeholder: 'e.g. staging',
				description: 'Schemas to leave out. Patterns as pg_dump takes them.',
			},
			{
				displayName: 'Exclude Tables',
				name: 'excludeTables',
				type: 'string',
				typeOptions: { multipleValues: true, multipleValueButtonText: 'Add table' },
				default: [],
				placeholder: 'e.g. public.log_*',
				description: 'Tables to leave out. Patterns as pg_dump takes them.',
			},
			{
				displayName: 'Host in Manifest',
				name: 'includeHost',
				type: 'boolean',
				default: false,
				description: "Whether the manifest names the server's host, which then lies beside the backup",
			},
			{
				displayName: 'Lock Time-Out',
				name: 'lockTimeout',
				type: 'number',
				typeOptions: { minValue: 1 },
				default: 30,
				description: 'Seconds to wait for a table that somebody has locked before the dump fails',
			},
			{
				displayName: 'Only Schemas',
				name: 'schemas',
				type: 'string',
				typeOptions: { multipleValues: true, multipleValueButtonText: 'Add schema' },
				default: [],
				placeholder: 'e.g. public',
				description: 'Schemas to dump instead of all. Patterns as pg_dump takes them.',
			},
			{
				displayName: 'Only Tables',
				name: 'tables',
				type: 'string',
				typeOptions: { multipleValues: true, multipleValueButtonText: 'Add table' },
				default: [],
				placeholder: 'e.g. public.orders',
				description:
					'Tables to dump instead of all. What they depend on is not added: such a backup may not restore into an empty database.',
			},
			tagsOption,
			{
				displayName: 'What to Dump',
				name: 'sections',
				type: 'options',
				options: [
					{ name: 'Rows Only', value: 'data' },
					{ name: 'Schema and Rows', value: 'all' },
					{ name: 'Schema Only', value: 'schema' },
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
		],
	},
];

interface Options extends IDataObject {
	caCertificate?: string;
	compressionLevel?: number;
	excludeTableData?: string[];
	excludeSchemas?: string[];
	excludeTables?: string[];
	includeHost?: boolean;
	lockTimeout?: number;
	schemas?: string[];
	tables?: string[];
	sections?: 'all' | 'schema' | 'data';
	noOwner?: boolean;
	noPrivileges?: boolean;
}

export async function execute(context: IExecuteFunctions, itemIndex: number): Promise<INodeExecutionData[]> {
	const chosen = context.getNodeParameter('database', itemIndex, '', { extractValue: true }) as string;
	const compression = context.getNodeParameter('compression', itemIndex) as CompressionName | 'none';
	const options = context.getNodeParameter('options', itemIndex, {}) as Options;
	const handOver = context.getNodeParameter('handOver', itemIndex) as HandOver;
	const signal = cancelSignal(context);
	const reachable = await postgresConnection(context, itemIndex, {
		...(chosen ? { database: chosen } : {}),
		...(options.caCertificate ? { caCertificate: options.caCertificate } : {}),
	});
	try {
		const { connection } = reachable;
		const now = new Date();
		const format = context.getNodeParameter('format', itemIndex) as 'plain' | 'custom';
		// A custom archive is compressed in itself, block by block.
		const archive = {
			archiveCompression: compression,
			...(options.compressionLevel === undefined ? {} : { archiveLevel: options.compressionLevel }),
		};
		const dump = await postgresEngine.prepareDump(
			connection,
			{ ...dumpOptions(options), format, ...(format === 'custom' ? archive : {}) },
			{ signal },
		);
		const artifact = produceArtifact(
			{
				name: textParameter(context, 'name', itemIndex) || connection.database,
				kind: 'database',
				format: dump.format,
				extension: dump.extension,
				source: dump.source,
				now,
			},
			async (openSignal) => await dump.start(openSignal),
		);
		const compressed =
			compression === 'none' || format === 'custom'
				? artifact
				: applyEncoding(
						artifact,
						compressionEncoding(
							compression,
							options.compressionLevel ?? (compression === 'zstd' ? usualZstdLevel : undefined),
						),
					);
		return [await emitArtifact(context, itemIndex, tagged(context, itemIndex, compressed), handOver)];
	} finally {
		await reachable.close();
	}
}

function dumpOptions(options: Options): PostgresDumpOptions {
	const {
		schemas,
		tables,
		excludeSchemas,
		excludeTables,
		excludeTableData,
		includeHost,
		noOwner,
		noPrivileges,
	} = options;
	return {
		...{
			schemas,
			tables,
			excludeSchemas,
			excludeTables,
			excludeTableData,
			includeHost,
			noOwner,
			noPrivileges,
		},
		lockTimeoutMs: (options.lockTimeout ?? 30) * 1000,
		schemaOnly: options.sections === 'schema',
		dataOnly: options.sections === 'data',
	};
}
