import type { ILoadOptionsFunctions, INodeListSearchResult } from 'n8n-workflow';

import { listDatabases as databasesOf } from '../../lib/databases/postgres';
import { postgresConnection } from '../shared/credentials';
import { toNodeError } from '../shared/errors';

/** The databases of the server that the credential may connect to. */
export async function listDatabases(
	this: ILoadOptionsFunctions,
	filter = '',
): Promise<INodeListSearchResult> {
	try {
		const reachable = await postgresConnection(this, 0);
		try {
			const names = (await databasesOf(reachable.connection)).filter((name) =>
				name.toLowerCase().includes(filter.toLowerCase()),
			);
			return { results: names.map((name) => ({ name, value: name })) };
		} finally {
			await reachable.close();
		}
	} catch (error) {
		throw toNodeError(this.getNode(), error, 0);
	}
}
