import type { ILoadOptionsFunctions, INodePropertyOptions } from 'n8n-workflow';

import { databaseOverview, type DatabaseOverview } from '../../lib/databases/postgres';
import { namePattern } from '../../lib/databases/postgres/dump';
import { asking } from '../shared/postgres-lists';

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
