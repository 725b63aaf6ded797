import type { IDataObject, IExecuteFunctions, INodeExecutionData, INodeProperties } from 'n8n-workflow';

import { postgresEngine, type PostgresRestoreOptions } from '../../lib/databases/postgres';
import type { RestoreTarget } from '../../lib/databases/postgres/restore/target';
import { postgresConnection } from '../shared/credentials';
import { textParameter } from '../shared/parameters';
import { caCertificateOption } from '../shared/properties';
import { cancelSignal } from '../shared/run';

import { verifiedContent } from './content';

const show = { operation: ['database'] };

export const description: INodeProperties[] = [
	{
		displayName: 'Restore Into',
		name: 'target',
		type: 'options',
		options: [
			{
				name: 'Existing Database',
				value: 'existing',
				description: 'Into a database that is there, in one transaction',
			},
			{ name: 'New Database', value: 'new', description: 'Into a database that this node creates' },
			{
				name: 'Swap With Existing Database',
				value: 'swap',
				description:
					'Into a database beside the existing one, which serves on until the restored one is checked and takes its place',
			},
		],
		default: 'existing',
		description: 'Where the backup goes. Whatever fails, an existing database stays as it was.',
		displayOptions: { show },
	},
	{
		displayName: 'Target Database',
		name: 'targetDatabase',
		type: 'string',
		default: '',
		placeholder: 'e.g. shop',
		description: "The name of the database. Empty stands for the credential's.",
		displayOptions: { show },
	},
	{
		displayName: 'If Target Is Not Empty',
		name: 'ifNotEmpty',
		type: 'options',
		options: [
			{
				name: 'Remove Everything in It',
				value: 'clean',
				description:
					'Drop all it holds and restore, in one transaction: if the restore fails, it stays as it was',
			},
			{ name: 'Stop', value: 'stop', description: 'Fail, and leave it as it is' },
		],
		default: 'stop',
		description: 'What to do when the target database holds anything',
		displayOptions: { show: { ...show, target: ['existing'] } },
	},
	{
		displayName: 'Present Content',
		name: 'presentContent',
		type: 'options',
		options: [
			{ name: 'Drop', value: 'drop', description: 'Remove it once the restored database is in its place' },
			{ name: 'Keep', value: 'keep', description: 'Keep it, as a database with the date in its name' },
		],
		default: 'keep',
		description: 'What becomes of what the database held before',
		displayOptions: { show: { ...show, target: ['swap'] } },
	},
];

/** They stand last, behind what both operations have. */
export const options: INodeProperties[] = [
	{
		displayName: 'Options',
		name: 'options',
		type: 'collection',
		placeholder: 'Add option',
		default: {},
		displayOptions: { show },
		options: [
			caCertificateOption,
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
	},
];

interface Options extends IDataObject {
	caCertificate?: string;
	noOwner?: boolean;
	noPrivileges?: boolean;
}

export async function execute(context: IExecuteFunctions, itemIndex: number): Promise<INodeExecutionData[]> {
	const options = context.getNodeParameter('options', itemIndex, {}) as Options;
	const target = textParameter(context, 'targetDatabase', itemIndex);
	const signal = cancelSignal(context);
	const started = performance.now();
	const { artifact, manifest } = await verifiedContent(context, itemIndex, 'database');
	const reachable = await postgresConnection(context, itemIndex, {
		...(target ? { database: target } : {}),
		...(options.caCertificate ? { caCertificate: options.caCertificate } : {}),
	});
	try {
		const report = await postgresEngine.restore(
			reachable.connection,
			async (openSignal) => (await artifact.open(openSignal)).stream,
			{
				...targetOf(context, itemIndex),
				noOwner: options.noOwner === true,
				noPrivileges: options.noPrivileges === true,
				...(manifest.tables ? { expectedTables: manifest.tables } : {}),
			},
			{ signal },
		);
		for (const message of report.warnings) {
			context.addExecutionHints({ type: 'warning', location: 'outputPane', message });
		}
		const { tables, ...rest } = report;
		const rows = tables.reduce((sum, table) => sum + table.rows, 0);
		const seconds = Math.round(performance.now() - started) / 1000;
		const input = context.getInputData()[itemIndex]!;
		return [
			{
				// The backup itself passes on, so that another Restore can take its files, say.
				json: {
					...input.json,
					restored: {
						kind: 'database',
						name: manifest.name,
						dataOf: manifest.createdAt,
						...rest,
						tables: tables.length,
						rows,
						seconds,
					},
				},
				...(input.binary ? { binary: input.binary } : {}),
				pairedItem: { item: itemIndex },
			},
		];
	} finally {
		await reachable.close();
	}
}

/** Where the node's fields say that the backup goes. */
function targetOf(
	context: IExecuteFunctions,
	itemIndex: number,
): Pick<PostgresRestoreOptions, 'target' | 'ifNotEmpty'> {
	const kind = context.getNodeParameter('target', itemIndex) as RestoreTarget['kind'];
	if (kind === 'existing') {
		const ifNotEmpty = context.getNodeParameter('ifNotEmpty', itemIndex) as 'stop' | 'clean';
		return { target: { kind }, ifNotEmpty };
	}
	if (kind === 'new') return { target: { kind } };
	const old = context.getNodeParameter('presentContent', itemIndex) as 'keep' | 'drop';
	return { target: { kind, old, now: new Date() } };
}
