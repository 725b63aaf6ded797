import type { IExecuteFunctions, INodeExecutionData, INodeProperties } from 'n8n-workflow';

import { produceArtifact } from '../../lib/artifact/produce';
import { applyEncoding } from '../../lib/artifact/transform';
import { compressionEncoding, type CompressionName } from '../../lib/compression/compression';
import { postgresEngine } from '../../lib/databases/postgres';
import { usualZstdLevel } from '../../lib/databases/postgres/dump';
import { emitArtifact, type HandOver } from '../shared/artifacts';
import { postgresConnection } from '../shared/credentials';
import { compressionProperty, handOverProperty } from '../shared/properties';
import { cancelSignal } from '../shared/run';
import { textParameter } from '../shared/parameters';
import { tagged } from '../shared/tags';

import { dumpOptionsProperty, engineOptions, type DumpNodeOptions } from './options';
import { progressLog } from './progress';

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
	dumpOptionsProperty,
];

export async function execute(context: IExecuteFunctions, itemIndex: number): Promise<INodeExecutionData[]> {
	const chosen = context.getNodeParameter('database', itemIndex, '', { extractValue: true }) as string;
	const compression = context.getNodeParameter('compression', itemIndex) as CompressionName | 'none';
	const options = context.getNodeParameter('options', itemIndex, {}) as DumpNodeOptions;
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
			{ ...engineOptions(options), format, ...(format === 'custom' ? archive : {}) },
			{ signal, onProgress: progressLog(context.logger, connection.database) },
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
