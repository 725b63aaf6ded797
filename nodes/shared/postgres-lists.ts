import type { ILoadOptionsFunctions, INodeListSearchResult } from 'n8n-workflow';

import { listDatabases as databasesOf, type PostgresConnection } from '../../lib/databases/postgres';

import { postgresConnection } from './credentials';
import { toNodeError } from './errors';

/** The databases of the server that the credential may connect to. */
export async function listDatabases(
	this: ILoadOptionsFunctions,
	filter = '',
): Promise<INodeListSearchResult> {
	return await asking(this, undefined, async (connection) => {
		const names = (await databasesOf(connection)).filter((name) =>
			name.toLowerCase().includes(filter.toLowerCase()),
		);
		return { results: names.map((name) => ({ name, value: name })) };
	});
}

/** Connects as the node would, certificate and tunnel included. */
export async function asking<Result>(
	context: ILoadOptionsFunctions,
	database: string | undefined,
	ask: (connection: PostgresConnection) => Promise<Result>,
): Promise<Result> {
	try {
		const options = context.getCurrentNodeParameter('options') as { caCertificate?: string } | undefined;
		const reachable = await postgresConnection(context, 0, {
			...(database ? { database } : {}),
			...(options?.caCertificate ? { caCertificate: options.caCertificate } : {}),
		});
		try {
			return await ask(reachable.connection);
		} finally {
			await reachable.close();
		}
	} catch (error) {
		throw toNodeError(context.getNode(), error, 0);
	}
}
