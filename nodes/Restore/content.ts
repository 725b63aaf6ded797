import type { IExecuteFunctions } from 'n8n-workflow';

import { bundleEntry } from '../../lib/archive/bundle';
import type { Artifact } from '../../lib/artifact/artifact';
import type { Manifest } from '../../lib/artifact/manifest';
import { undoEncodings } from '../../lib/artifact/transform';
import { decoderWith } from '../../lib/encryption/decoder';
import { LifeboatError } from '../../lib/errors';
import { verifyComplete } from '../../lib/verification/verify';
import { readArtifact } from '../shared/artifacts';
import { encryptionKeys } from '../shared/credentials';
import { cancelSignal } from '../shared/run';
import { textParameter } from '../shared/parameters';

type Kind = 'database' | 'files';

/** What is to be restored: decrypted, decompressed, and out of its bundle. */
export interface Content {
	/** Opens the plain content from its start. */
	artifact: Artifact;
	manifest: Pick<Manifest, 'name' | 'createdAt' | 'source' | 'tables' | 'sequences' | 'format' | 'fileName'>;
}

/**
 * The content of the item's backup, read once from start to end and found whole before the caller touches any target.
 *
 * @throws LifeboatError `WRONG_KIND` if there is nothing of the kind in it, `AMBIGUOUS_ENTRY` if there are several; whatever
 * verification finds.
 */
export async function verifiedContent(
	context: IExecuteFunctions,
	itemIndex: number,
	kind: Kind,
): Promise<Content> {
	const artifact = await readArtifact(context, itemIndex);
	const decoder = decoderWith(await encryptionKeys(context, itemIndex));
	const entryName = textParameter(context, 'entry', itemIndex);
	const path =
		artifact.manifest.kind === 'bundle' ? entryPath(artifact.manifest, kind, entryName) : undefined;
	if (path === undefined && artifact.manifest.kind !== kind)
		throw wrongKind(`the backup ${artifact.manifest.fileName}`, kind);
	await verifyComplete(artifact, decoder, cancelSignal(context));
	const plain = undoEncodings(artifact, decoder);
	if (path === undefined) return { artifact: plain, manifest: artifact.manifest };
	const entry = bundleEntry(
		{ ...plain, manifest: artifact.manifest },
		(candidate) => candidate.path === path,
	);
	const { manifest } = artifact.manifest.entries!.find((candidate) => candidate.path === path)!;
	return { artifact: undoEncodings(entry, decoder), manifest };
}

function entryPath(bundle: Manifest, kind: Kind, name: string): string {
	const entries = (bundle.entries ?? []).filter((entry) => entry.manifest.kind === kind);
	const chosen =
		name === '' ? entries : entries.filter((entry) => entry.manifest.name === name || entry.path === name);
	if (chosen.length === 1) return chosen[0]!.path;
	const names = entries.map((entry) => `"${entry.manifest.name}"`).join(', ');
	if (chosen.length > 1) {
		throw new LifeboatError(
			'AMBIGUOUS_ENTRY',
			`The bundle ${bundle.fileName} holds several backups that fit: ${names}`,
			{
				hint: 'Fill in Entry with the name of the one to restore',
			},
		);
	}
	if (entries.length === 0) throw wrongKind(`the bundle ${bundle.fileName}`, kind);
	throw new LifeboatError('NOT_FOUND', `The bundle ${bundle.fileName} holds no entry "${name}"`, {
		hint: `Fill in Entry with one of: ${names}`,
	});
}

function wrongKind(what: string, kind: Kind): LifeboatError {
	return new LifeboatError(
		'WRONG_KIND',
		`There ${kind === 'database' ? 'is no database' : 'are no files'} in ${what}`,
		{
			hint:
				kind === 'database'
					? 'Choose the operation Files, or pass in the backup of a database'
					: 'Choose the operation Database, or pass in a backup of files',
		},
	);
}
