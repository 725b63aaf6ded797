import type { IExecuteFunctions, INodeExecutionData, INodeProperties } from 'n8n-workflow';

import { produceArtifact } from '../../lib/artifact/produce';
import { applyEncoding } from '../../lib/artifact/transform';
import { compressionEncoding, type CompressionName } from '../../lib/compression/compression';
import type { Dump } from '../../lib/databases/engine';
import { postgresEngine, type PostgresConnection } from '../../lib/databases/postgres';
import { usualZstdLevel } from '../../lib/databases/postgres/dump';
import { emitArtifact, type HandOver } from '../shared/artifacts';
import { postgresConnection, type ReachablePostgres } from '../shared/credentials';
import { compressionProperty, handOverProperty } from '../shared/properties';
import { cancelSignal } from '../shared/run';
import { tagged } from '../shared/tags';

import { engineClient, engineOptions, type DumpNodeOptions } from './options';
import { progressLog } from './progress';

/** How the dumps of one database, or of all, are written. */
export const writingProperties: INodeProperties[] = [
	{
		displayName: 'Format',
		displayOptions: { show: { operation: ['dump', 'dumpAll'] } },
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
];

interface Writing {
	compression: CompressionName | 'none';
	level: number | undefined;
	handOver: HandOver;
	options: DumpNodeOptions;
}

function writing(context: IExecuteFunctions, itemIndex: number): Writing {
	const options = context.getNodeParameter('options', itemIndex, {}) as DumpNodeOptions;
	const compression = context.getNodeParameter('compression', itemIndex) as Writing['compression'];
	return {
		options,
		compression,
		level: options.compressionLevel ?? (compression === 'zstd' ? usualZstdLevel : undefined),
		handOver: context.getNodeParameter('handOver', itemIndex) as HandOver,
	};
}

/** The server of the credential. @param database instead of the credential's, unless empty. */
export async function reach(
	context: IExecuteFunctions,
	itemIndex: number,
	database: string,
): Promise<ReachablePostgres> {
	const { caCertificate } = context.getNodeParameter('options', itemIndex, {}) as DumpNodeOptions;
	return await postgresConnection(context, itemIndex, {
		...(database ? { database } : {}),
		...(caCertificate ? { caCertificate } : {}),
	});
}

/** Dumps one database. @param name of the backup. */
export async function makeDump(
	context: IExecuteFunctions,
	itemIndex: number,
	connection: PostgresConnection,
	name: string,
): Promise<INodeExecutionData> {
	const how = writing(context, itemIndex);
	const { compression, options } = how;
	const now = new Date();
	const isArchive = context.getNodeParameter('format', itemIndex) === 'custom';
	const dump = await postgresEngine.prepareDump(
		connection,
		{
			...engineOptions(options),
			...(await engineClient(context, options)),
			format: isArchive ? 'custom' : 'plain',
			// A custom archive is compressed in itself, block by block.
			...(isArchive ? { archiveCompression: compression, archiveLevel: how.level } : {}),
		},
		{ signal: cancelSignal(context), onProgress: progressLog(context.logger, connection.database) },
	);
	return await emit(context, itemIndex, dump, name, now, isArchive ? { ...how, compression: 'none' } : how);
}

/** Makes the item of a dump whose content is SQL. */
export async function makeScript(
	context: IExecuteFunctions,
	itemIndex: number,
	dump: Dump,
	name: string,
): Promise<INodeExecutionData> {
	return await emit(context, itemIndex, dump, name, new Date(), writing(context, itemIndex));
}

async function emit(
	context: IExecuteFunctions,
	itemIndex: number,
	dump: Dump,
	name: string,
	now: Date,
	{ compression, level, handOver }: Writing,
): Promise<INodeExecutionData> {
	const { format, extension, source } = dump;
	const artifact = produceArtifact(
		{ name, kind: 'database', format, extension, source, now },
		async (signal) => await dump.start(signal),
	);
	const compressed =
		compression === 'none' ? artifact : applyEncoding(artifact, compressionEncoding(compression, level));
	return await emitArtifact(context, itemIndex, tagged(context, itemIndex, compressed), handOver);
}
