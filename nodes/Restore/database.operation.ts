import type { IDataObject, IExecuteFunctions, INodeExecutionData, INodeProperties } from 'n8n-workflow';

import { postgresEngine } from '../../lib/databases/postgres';
import { postgresConnection } from '../shared/credentials';
import { cancelSignal } from '../shared/run';

import { verifiedContent } from './content';
import { textParameter } from '../shared/parameters';

const show = { operation: ['database'] };

export const description: INodeProperties[] = [
	{
		displayName: 'Target Database',
		name: 'targetDatabase',
		type: 'string',
		default: '',
		placeholder: 'e.g. shop',
		description: "The database to restore into, which must exist. Empty stands for the credential's.",
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
		displayOptions: { show },
	},
	{
		displayName: 'Options',
		name: 'options',
		type: 'collection',
		placeholder: 'Add option',
		default: {},
		displayOptions: { show },
		options: [
			{
				displayName: 'CA Certificate',
				name: 'caCertificate',
				type: 'string',
				typeOptions: { rows: 4 },
				default: '',
				placeholder: 'e.g. -----BEGIN CERTIFICATE-----',
				description:
					"PEM certificate of the authority that signed the server's. The connection is then encrypted and checked.",
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
				ifNotEmpty: context.getNodeParameter('ifNotEmpty', itemIndex) as 'stop' | 'clean',
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
