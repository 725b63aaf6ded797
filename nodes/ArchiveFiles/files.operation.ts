import { access } from 'node:fs/promises';

import type { IDataObject, IExecuteFunctions, INodeExecutionData } from 'n8n-workflow';

import { packFiles } from '../../lib/archive/pack';
import type { Artifact } from '../../lib/artifact/artifact';
import type { Manifest } from '../../lib/artifact/manifest';
import { applyEncoding } from '../../lib/artifact/transform';
import { compressionEncoding, type CompressionName } from '../../lib/compression/compression';
import { LifeboatError } from '../../lib/errors';
import { leftOut } from '../../lib/verification/files';
import { emitArtifact, type HandOver } from '../shared/artifacts';
import { defaultStagingRoot, fileRules, resolveAllowed } from '../shared/file-access';
import { requiredText } from '../shared/parameters';
import { tagged } from '../shared/tags';

export interface ArchiveOptions extends IDataObject {
	compressionLevel?: number;
	exclude?: string[];
	ifUnreadable?: 'fail' | 'skip-and-report';
}

/** The paths as the operator gave them, without empty ones. */
export function pathsOf(context: IExecuteFunctions, itemIndex: number): string[] {
	const value = context.getNodeParameter('paths', itemIndex, []) as string | string[];
	return [value]
		.flat()
		.map((path) => String(path).trim())
		.filter((path) => path !== '');
}

/** The files as a backup of their own, not yet compressed. */
export async function filesArtifact(
	context: IExecuteFunctions,
	itemIndex: number,
	name: string,
	paths: readonly string[],
	now: Date,
): Promise<Artifact> {
	const options = context.getNodeParameter('options', itemIndex, {}) as ArchiveOptions;
	const allowed: string[] = [];
	for (const path of paths) allowed.push(await resolveGlob(context, path));
	return packFiles({
		name,
		now,
		paths: allowed,
		includeFolderName: false,
		// Backups of this very run lie there.
		exclude: [...(options.exclude ?? []), `${defaultStagingRoot()}/**`],
		assertAllowed: fileRules(context),
		...(options.ifUnreadable ? { ifUnreadable: options.ifUnreadable } : {}),
	});
}

/** The part of a glob before its first special character is a folder that must be allowed; each match is asked for again. */
async function resolveGlob(context: IExecuteFunctions, path: string): Promise<string> {
	const special = path.search(/[*?[\]{}!()]/);
	// A path that exists is that path, whatever characters it has.
	const exists = access(path).then(
		() => true,
		() => false,
	);
	if (special === -1 || (await exists)) return await resolveAllowed(context, path);
	const slash = path.lastIndexOf('/', special);
	const folder = await resolveAllowed(context, path.slice(0, slash) || '/');
	return `${folder === '/' ? '' : folder}${path.slice(slash)}`;
}

/** Applies the compression and the tags that the node's fields name. */
export function finished(context: IExecuteFunctions, itemIndex: number, artifact: Artifact): Artifact {
	const name = context.getNodeParameter('compression', itemIndex) as CompressionName | 'none';
	const { compressionLevel } = context.getNodeParameter('options', itemIndex, {}) as ArchiveOptions;
	const encoded =
		name === 'none' ? artifact : applyEncoding(artifact, compressionEncoding(name, compressionLevel));
	return tagged(context, itemIndex, encoded);
}

/** Tells of files that were left out, or changed while they were read, where the operator chose that. */
export function hintOfSkipped(context: IExecuteFunctions, { source }: Pick<Manifest, 'source'>): void {
	for (const message of leftOut(source)) {
		context.addExecutionHints({ type: 'warning', location: 'outputPane', message });
	}
}

export async function execute(context: IExecuteFunctions, itemIndex: number): Promise<INodeExecutionData[]> {
	const paths = pathsOf(context, itemIndex);
	if (paths.length === 0) {
		throw new LifeboatError('INVALID_OPTION', 'There is nothing to archive: the field Paths is empty', {
			hint: 'Add at least one file, folder or glob under Paths',
		});
	}
	const artifact = await filesArtifact(
		context,
		itemIndex,
		requiredText(context, 'name', itemIndex, 'Backup Name'),
		paths,
		new Date(),
	);
	const handOver = context.getNodeParameter('handOver', itemIndex) as HandOver;
	const item = await emitArtifact(context, itemIndex, finished(context, itemIndex, artifact), handOver);
	hintOfSkipped(context, item.json.manifest as unknown as Manifest);
	return [item];
}
