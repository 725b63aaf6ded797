import type { IDataObject, IExecuteFunctions, INodeExecutionData } from 'n8n-workflow';

import { postgresEngine, type PostgresRestoreOptions } from '../../lib/databases/postgres';
import { planRestore } from '../../lib/databases/postgres/restore/dry-run';
import { restoreGlobals } from '../../lib/databases/postgres/restore/globals';
import type { RestoreTarget } from '../../lib/databases/postgres/restore/target/target';
import { LifeboatError } from '../../lib/errors';
import { passOn } from '../shared/artifacts';
import { postgresConnection } from '../shared/credentials';
import { chosenText } from '../shared/parameters';
import { cancelSignal } from '../shared/run';
import { sqlChecksOf, type SqlChecksValue } from '../shared/sql-checks';

import { databaseContent, type DatabaseContent } from './database.content';
import { progressLog } from './progress';

export { description } from './database.descriptions';
export { options } from './database.options';

interface Options extends IDataObject {
	analyze?: boolean;
	caCertificate?: string;
	checkTimeout?: number;
	content?: 'all' | 'data' | 'schema';
	databaseProperties?: 'backup' | 'target';
	dryRun?: boolean;
	intoSchema?: string;
	metaCommands?: 'refuse' | 'skip-connect';
	noOwner?: boolean;
	noPrivileges?: boolean;
	parallelConnections?: number;
	roles?: { role?: { from: string; to: string }[] };
	schemas?: string[];
	sqlChecks?: SqlChecksValue & IDataObject;
	tables?: string[];
	triggers?: 'off' | 'fire';
}

export async function execute(context: IExecuteFunctions, itemIndex: number): Promise<INodeExecutionData[]> {
	const options = context.getNodeParameter('options', itemIndex, {}) as Options;
	const target = chosenText(context, 'targetDatabase', itemIndex);
	const signal = cancelSignal(context);
	const started = performance.now();
	const content = await databaseContent(context, itemIndex);
	const reachable = await postgresConnection(context, itemIndex, {
		...(target ? { database: target } : {}),
		...(options.caCertificate ? { caCertificate: options.caCertificate } : {}),
	});
	try {
		const { connection } = reachable;
		if (content.isGlobals) {
			refuseForGlobals(options);
			const report = await restoreGlobals(connection, content.open, { signal });
			return [passOn(context, itemIndex, { restored: { kind: 'globals', ...content.about, ...report } })];
		}
		const restoreOptions = optionsOf(context, itemIndex, options, content);
		if (options.dryRun) {
			const plan = await planRestore(connection, content.open, restoreOptions, { signal });
			const { database } = plan;
			return [
				...plan.problems.map((reason) => ({ json: { database, action: 'stop', reason } })),
				...plan.actions.map((action) => ({ json: { database, ...action } })),
			];
		}
		const report = await postgresEngine.restore(connection, content.open, restoreOptions, {
			signal,
			onProgress: progressLog(context.logger, connection.database),
		});
		for (const message of report.warnings) {
			context.addExecutionHints({ type: 'warning', location: 'outputPane', message });
		}
		const { tables, bytes, ...rest } = report;
		const rows = tables.reduce((sum, table) => sum + table.rows, 0);
		const seconds = Math.round(performance.now() - started) / 1000;
		const restored = {
			kind: 'database',
			...content.about,
			...rest,
			tables: tables.length,
			rows,
			seconds,
			...(bytes === undefined
				? {}
				: { bytes, megabytesPerSecond: Math.round(bytes / 1e5 / Math.max(seconds, 0.001)) / 10 }),
		};
		// The backup itself passes on, so that another Restore can take its files, say.
		return [passOn(context, itemIndex, { restored })];
	} finally {
		await reachable.close();
	}
}

/** Better none than one that is taken for granted. */
function refuseForGlobals({ dryRun, roles, sqlChecks }: Options): void {
	if (!dryRun && !roles && !sqlChecks) return;
	throw new LifeboatError(
		'INVALID_OPTION',
		'Dry Run, Replace Roles and SQL Checks do not apply to roles and tablespaces',
		{
			hint: 'Remove these options. Roles that are there already are kept in any case',
		},
	);
}

function optionsOf(
	context: IExecuteFunctions,
	itemIndex: number,
	options: Options,
	content: DatabaseContent,
): PostgresRestoreOptions {
	const names = (list: string[] | undefined) =>
		(list ?? []).map((name) => name.trim()).filter((name) => name !== '');
	const parts = { schemas: names(options.schemas), tables: names(options.tables) };
	const roles = (options.roles?.role ?? []).filter(({ from, to }) => from !== '' && to !== '');
	return {
		...targetOf(context, itemIndex),
		noOwner: options.noOwner === true,
		noPrivileges: options.noPrivileges === true,
		analyze: options.analyze === true,
		...(parts.schemas.length + parts.tables.length > 0 && { parts }),
		...(options.metaCommands && { metaCommands: options.metaCommands }),
		...(options.content && { content: options.content }),
		...(options.databaseProperties && { databaseProperties: options.databaseProperties }),
		...(options.intoSchema?.trim() && { intoSchema: options.intoSchema.trim() }),
		...(options.triggers && { triggers: options.triggers }),
		...(options.parallelConnections && { parallelConnections: options.parallelConnections }),
		sqlChecks: sqlChecksOf(options.sqlChecks ?? {}),
		...(options.checkTimeout && { checkTimeoutMs: options.checkTimeout * 1000 }),
		...(roles.length > 0 && { roles: Object.fromEntries(roles.map(({ from, to }) => [from, to])) }),
		...(content.locale && { locale: content.locale }),
		...(content.tables && { expectedTables: content.tables }),
		...(content.sequences && { expectedSequences: content.sequences }),
	};
}

/** Where the node's fields say that the backup goes. */
function targetOf(
	context: IExecuteFunctions,
	itemIndex: number,
): Pick<PostgresRestoreOptions, 'target' | 'ifNotEmpty'> {
	const kind = context.getNodeParameter('target', itemIndex) as RestoreTarget['kind'];
	if (kind === 'existing') {
		const ifNotEmpty = context.getNodeParameter('ifNotEmpty', itemIndex) as 'stop' | 'clean' | 'merge';
		return { target: { kind }, ifNotEmpty };
	}
	if (kind === 'new') return { target: { kind } };
	const old = context.getNodeParameter('presentContent', itemIndex) as 'keep' | 'drop';
	return { target: { kind, old, now: new Date() } };
}
