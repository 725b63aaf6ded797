import type { ILoadOptionsFunctions, INodeListSearchResult, INodePropertyOptions } from 'n8n-workflow';

import {
	databaseOverview,
	listDatabases as databasesOf,
	type DatabaseOverview,
	type PostgresConnection,
} from '../../lib/databases/postgres';
import { namePattern } from '../../lib/databases/postgres/dump';
import { postgresConnection } from '../shared/credentials';
import { toNodeError } from '../shared/errors';

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

/** The schemas of the chosen database. */
export async function getSchemas(this: ILoadOptionsFunctions): Promise<INodePropertyOptions[]> {
	const { schemas } = await overview(this);
	return schemas.map((name) => ({ name, value: namePattern(name) }));
}

/** The tables of the chosen database, with their sizes. */
export async function getTables(this: ILoadOptionsFunctions): Promise<INodePropertyOptions[]> {
	const { tables } = await overview(this);
	return tables.map(({ schema, name, size, estimatedRows }) => ({
		name: `${schema}.${name}`,
		value: `${namePattern(schema)}.${namePattern(name)}`,
		description: [
			`${(size / 1024 / 1024).toFixed(1)} MiB`,
			estimatedRows === undefined ? '' : `about ${estimatedRows} rows`,
		]
			.filter(Boolean)
			.join(', '),
	}));
}

async function overview(context: ILoadOptionsFunctions): Promise<DatabaseOverview> {
	const chosen = context.getCurrentNodeParameter('database', { extractValue: true });
	const database = typeof chosen === 'string' && chosen !== '' ? chosen : undefined;
	return await asking(context, database, databaseOverview);
}

/** Connects as the node would, certificate and tunnel included. */
async function asking<Result>(
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
