import type { IDataObject, IExecuteFunctions, INodeExecutionData } from 'n8n-workflow';

import { packBundle } from '../../lib/archive/bundle';
import { applyEncoding } from '../../lib/artifact/transform';
import { compressionEncoding } from '../../lib/compression/compression';
import { LifeboatError } from '../../lib/errors';
import { emitArtifact, readArtifact, type HandOver, type KnownArtifact } from '../shared/artifacts';
import { requiredText } from '../shared/parameters';
import { cancelSignal } from '../shared/run';
import { stagingFor } from '../shared/staging';

import { filesArtifact, finished, hintOfSkipped, pathsOf } from './files.operation';

/** All incoming backups, and the files if paths are given, in one bundle. */
export async function execute(context: IExecuteFunctions): Promise<INodeExecutionData[]> {
	const now = new Date();
	const name = requiredText(context, 'name', 0, 'Backup Name');
	const artifacts: KnownArtifact[] = [];
	for (const [index, item] of context.getInputData().entries()) {
		// An item without a backup only triggered the node, unless it tells why there is none.
		if (item.json.artifact !== undefined) artifacts.push(await readArtifact(context, index));
		else assertNoBackupMissing(item.json, index);
	}
	const paths = pathsOf(context, 0);
	if (paths.length > 0) {
		// A tar header holds the size, so the files are packed, compressed and measured before they go into the bundle.
		const files = applyEncoding(
			await filesArtifact(context, 0, `${name}-files`, paths, now),
			compressionEncoding('zstd'),
		);
		artifacts.push(await (await stagingFor(context)).write(files, cancelSignal(context)));
	}
	if (artifacts.length === 0) {
		throw new LifeboatError('NOTHING_TO_ARCHIVE', 'There is nothing to put into the bundle', {
			hint: 'Connect nodes that make backups before this one, or add files under Paths',
		});
	}
	const bundle = finished(context, 0, packBundle({ name, now, artifacts }));
	const item = await emitArtifact(context, 0, bundle, context.getNodeParameter('handOver', 0) as HandOver);
	for (const { manifest } of artifacts) hintOfSkipped(context, manifest);
	return [{ ...item, pairedItem: [...context.getInputData().keys()].map((index) => ({ item: index })) }];
}

/** A node before this one that goes on after errors, or a download that has to wait for an archive, brings an item in the place of a backup. */
function assertNoBackupMissing({ error, restoring }: IDataObject, index: number): void {
	if (!error && restoring !== true) return;
	const why = error ? (typeof error === 'string' ? error : 'it failed') : 'it is still in an archive';
	throw new LifeboatError(
		'BACKUP_MISSING',
		`A backup is missing from the bundle, that of item ${index}: ${why}`,
		{
			hint: 'A bundle without it would pass for a whole one. Mend what failed, or keep such items from this node (If, Filter) where the bundle is to do without them',
		},
	);
}
