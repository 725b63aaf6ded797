import type { IExecuteFunctions, INodeExecutionData, INodeProperties } from 'n8n-workflow';

import {
	prepareGlobalsDump,
	serverDatabases,
	type PostgresConnection,
	type ServerDatabase,
} from '../../lib/databases/postgres';
import { LifeboatError } from '../../lib/errors';
import { presentable, toNodeError } from '../shared/errors';
import { textParameter } from '../shared/parameters';
import { cancelSignal } from '../shared/run';

import { makeDump, makeScript, reach } from './make';
import type { DumpNodeOptions } from './options';

export const description: INodeProperties[] = [
	{
		displayName: 'Prefix of Backup Names',
		name: 'namePrefix',
		type: 'string',
		default: '',
		placeholder: 'e.g. db1-',
		displayOptions: { show: { operation: ['dumpAll'] } },
		description:
			"Stands before the database's name in the name of each backup job, so that the servers of one destination are kept apart",
	},
];

export { dumpAllOptionsProperty as options } from './options.descriptions';

interface Part {
	/** How it is called in errors. */
	what: string;
	make: () => Promise<INodeExecutionData>;
}

/**
 * One item a database, and one for roles and tablespaces. What fails does not keep the others from being dumped: it comes out as an item
 * that holds its error where the node continues on fail. Otherwise the node fails, in the end, naming all that failed.
 */
export async function execute(context: IExecuteFunctions, itemIndex: number): Promise<INodeExecutionData[]> {
	const signal = cancelSignal(context);
	const reachable = await reach(context, itemIndex, '');
	try {
		const { connection } = reachable;
		const parts = await plan(context, itemIndex, connection, signal);
		const items: INodeExecutionData[] = [];
		const failed: { what: string; message: string; details: string | undefined }[] = [];
		for (const { what, make } of parts) {
			try {
				items.push(await make());
			} catch (error) {
				signal.throwIfAborted();
				const { message, description } = toNodeError(context.getNode(), error, itemIndex);
				failed.push({ what, message, details: description ?? undefined });
			}
		}
		if (failed.length > 0 && !context.continueOnFail()) throw failure(parts.length, failed);
		// Last, so that a node which stops at them has stored the others.
		const errors = failed.map(({ what, message, details }) => ({
			json: { error: `${what}: ${message}`, ...(details ? { details: presentable(details) } : {}) },
			pairedItem: { item: itemIndex },
		}));
		return [...items, ...errors];
	} finally {
		await reachable.close();
	}
}

async function plan(
	context: IExecuteFunctions,
	itemIndex: number,
	connection: PostgresConnection,
	signal: AbortSignal,
): Promise<Part[]> {
	const prefix = textParameter(context, 'namePrefix', itemIndex);
	const { excludeDatabases, globals, includeHost } = context.getNodeParameter(
		'options',
		itemIndex,
		{},
	) as DumpNodeOptions;
	const excluded = new Set([excludeDatabases ?? []].flat());
	const databases = (await serverDatabases(connection, { signal })).filter(({ name }) => !excluded.has(name));
	const parts = databases.map((database) => ({
		what: `Database ${database.name}`,
		make: async () => {
			assertReachable(database);
			return await makeDump(
				context,
				itemIndex,
				{ ...connection, database: database.name },
				prefix + database.name,
			);
		},
	}));
	if (globals === 'exclude') return parts;
	const passwords = globals === 'withoutPasswords' ? 'none' : 'if permitted';
	const make = async () => {
		const dump = await prepareGlobalsDump(connection, { passwords, includeHost }, { signal });
		return await makeScript(context, itemIndex, dump, `${prefix}globals`);
	};
	return [...parts, { what: 'Roles and tablespaces', make }];
}

function assertReachable({ name, obstacle }: ServerDatabase): void {
	if (obstacle === undefined) return;
	throw new LifeboatError('DATABASE_CLOSED', `it can't be dumped: ${obstacle}`, {
		hint: `If ${name} is not to be backed up, name it under Exclude Databases`,
	});
}

function failure(
	total: number,
	failed: { what: string; message: string; details: string | undefined }[],
): Error {
	const list = failed.map(({ what, message }) => `${what}: ${message}`).join('; ');
	return new LifeboatError('DUMPS_FAILED', `${failed.length} of ${total} dumps failed. ${list}`, {
		hint: [
			...new Set(failed.flatMap(({ details }) => details ?? [])),
			'To pass on those that succeeded, set On Error of this node to Continue (using error output)',
		].join('. '),
	});
}
