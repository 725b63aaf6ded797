import type { Client } from 'pg';

import type { EngineContext, RestoreReport } from '../../engine';
import { postgresError } from '../connection';

import { restoreError } from './errors';
import type { PostgresRestoreOptions } from './options';
import type { PartialRestore } from './parts/partial';
import type { LoadedRows } from './row-counts';
import { verifySequences } from './sequence-values';
import { checkLoaded, commitRestore } from './transaction';

/** What was restored so far, and is not visible yet. */
interface Filled {
	database: string;
	loaded: LoadedRows;
	partial: PartialRestore | undefined;
	rowsMayDiffer: boolean;
}

/** Compares what was loaded with the manifest, and makes it visible. */
export async function checkAndCommit(
	client: Client,
	{ database, loaded, partial, rowsMayDiffer }: Filled,
	options: PostgresRestoreOptions,
	context: EngineContext,
): Promise<Pick<RestoreReport, 'database' | 'sequences' | 'tables' | 'keptRows'>> {
	try {
		const merges = options.ifNotEmpty === 'merge';
		const trustLoaded = merges || !rowsMayDiffer;
		const tables = await checkLoaded(client, database, loaded, options, context, trustLoaded, partial);
		const sequences = options.expectedSequences?.filter((each) => !partial || partial.makesSequence(each));
		const compared = options.only ? undefined : sequences;
		if (compared) await verifySequences(client, database, compared);
		await partial?.rename();
		await commitRestore(client, database, options.target !== undefined && options.target.kind !== 'existing');
		return {
			database,
			...(compared && { sequences: compared.length }),
			tables: tables.map((table) => ({
				...table,
				schema: partial?.finalSchema(table.schema) ?? table.schema,
				rows: table.rows - loaded.keptOf(table.schema, table.name),
			})),
			...(merges && { keptRows: loaded.keptRows }),
		};
	} catch (error) {
		throw restoreError(error, `restoring database ${database}`);
	}
}

/** Whether it works or not, the restore is done by now. @returns warnings */
export async function analyze(client: Client): Promise<string[]> {
	try {
		await client.query('ANALYZE');
		return [];
	} catch (error) {
		return [postgresError(error, 'collecting statistics after the restore').message];
	}
}
