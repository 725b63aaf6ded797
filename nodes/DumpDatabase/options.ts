import { basename, isAbsolute } from 'node:path';

import type { IDataObject, IExecuteFunctions } from 'n8n-workflow';

import type { PostgresDumpOptions } from '../../lib/databases/postgres/dump';
import { LifeboatError } from '../../lib/errors';
import { resolveAllowed } from '../shared/file-access';

/** What is set in the collection. */
export interface DumpNodeOptions extends IDataObject {
	caCertificate?: string;
	clientPath?: string;
	dumpEngine?: 'builtIn' | 'client';
	clean?: 'no' | 'yes' | 'ifExists';
	compressionLevel?: number;
	excludeDatabases?: string[];
	excludeTableData?: string[];
	excludeSchemas?: string[];
	excludeTables?: string[];
	globals?: 'include' | 'withoutPasswords' | 'exclude';
	includeHost?: boolean;
	largeObjects?: 'default' | 'include' | 'exclude';
	lockTimeout?: number;
	parallelConnections?: number;
	schemas?: string[];
	statementTimeout?: number;
	tables?: string[];
	sections?: 'all' | 'schema' | 'data';
	noOwner?: boolean;
	noPrivileges?: boolean;
}

/**
 * The path of the pg_dump client, where one is given. A workflow must not run what a workflow can write.
 *
 * @throws LifeboatError `CLIENT_NOT_FOUND`.
 */
async function programPath(context: IExecuteFunctions, path: string): Promise<string> {
	const refuse = (reason: string) =>
		new LifeboatError('CLIENT_NOT_FOUND', `${path} can't be used as pg_dump: ${reason}`, {
			hint: 'Give the whole path of an installed pg_dump, e.g. /usr/lib/postgresql/18/bin/pg_dump',
		});
	if (!isAbsolute(path)) throw refuse('the path is not absolute');
	if (!/^pg_dump(?:-?[\d.]+)?(?:\.exe)?$/.test(basename(path))) throw refuse('it has another name');
	if (process.env.N8N_RESTRICT_FILE_ACCESS_TO === '') return path;
	const isWritable = await resolveAllowed(context, path).then(
		() => true,
		() => false,
	);
	if (isWritable) throw refuse('it lies in a folder that workflows may write to');
	return path;
}

/** Which pg_dump is used. @throws as `programPath`. */
export async function engineClient(
	context: IExecuteFunctions,
	{ dumpEngine, clientPath = '' }: DumpNodeOptions,
): Promise<Pick<PostgresDumpOptions, 'client'>> {
	if (dumpEngine !== 'client') return {};
	const path = clientPath.trim();
	return { client: path === '' ? {} : { path: await programPath(context, path) } };
}

/** The engine's options. */
export function engineOptions(options: DumpNodeOptions): PostgresDumpOptions {
	const { includeHost, noOwner, noPrivileges, clean, largeObjects } = options;
	return {
		schemas: patterns(options.schemas),
		tables: patterns(options.tables),
		excludeSchemas: patterns(options.excludeSchemas),
		excludeTables: patterns(options.excludeTables),
		excludeTableData: patterns(options.excludeTableData),
		...{ includeHost, noOwner, noPrivileges },
		clean: clean === 'yes' || clean === 'ifExists',
		ifExists: clean === 'ifExists',
		...(largeObjects === 'include' ? { largeObjects: true } : {}),
		...(largeObjects === 'exclude' ? { largeObjects: false } : {}),
		parallelConnections: options.parallelConnections ?? 1,
		lockTimeoutMs: (options.lockTimeout ?? 30) * 1000,
		statementTimeoutMs: (options.statementTimeout ?? 0) * 1000,
		schemaOnly: options.sections === 'schema',
		dataOnly: options.sections === 'data',
	};
}

/** By expression one text may come where the list gives several. */
function patterns(value: string | string[] | undefined): string[] {
	return [value ?? []].flat().filter((pattern) => pattern.trim() !== '');
}
