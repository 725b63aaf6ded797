import { createReadStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { Readable } from 'node:stream';

import type { IDataObject, IExecuteFunctions, INodeExecutionData } from 'n8n-workflow';

import type { Artifact } from '../../lib/artifact/artifact';
import { openFile, storedArtifact } from '../../lib/artifact/file-artifact';
import { parseManifest, type Manifest } from '../../lib/artifact/manifest';
import { codeOf, LifeboatError } from '../../lib/errors';

import { resolveAllowed } from './file-access';
import { cancelSignal } from './run';
import { stagingFor } from './staging';

/** How a node passes a backup on. */
export type HandOver = 'file' | 'binary';

/** Where the bytes of a backup are, as item JSON. */
type Reference = { handOver: 'file'; path: string } | { handOver: 'binary'; field: string };

/** The binary field that backups travel in when they are handed over as binary data. */
const binaryField = 'data';

/** Above this, modes that hold binary data in memory or in the database get into trouble. */
const largeBinaryBytes = 100 * 1024 * 1024;

export type KnownArtifact = Artifact & { manifest: Manifest };

/**
 * The backup in an input item.
 *
 * @throws LifeboatError `NO_BACKUP` when the item holds none.
 */
export async function readArtifact(context: IExecuteFunctions, itemIndex: number): Promise<KnownArtifact> {
	const { json } = context.getInputData()[itemIndex]!;
	if (json.manifest === undefined || json.artifact === undefined) {
		throw new LifeboatError('NO_BACKUP', 'The input item holds no backup', {
			hint: 'Connect this node behind Dump Database, Archive Files, Encrypt, or Upload with the operation Download, whose items hold one',
		});
	}
	const manifest = parseManifest(json.manifest, 'manifest in the input item');
	const reference = json.artifact as unknown as Reference;
	if (reference.handOver === 'file') {
		const path = await resolveAllowed(context, String(reference.path));
		return storedArtifact(manifest, async () => await openStaged(path, manifest.fileName));
	}
	if (reference.handOver === 'binary') {
		return storedArtifact(manifest, binaryData(context, itemIndex, reference.field).open);
	}
	throw new LifeboatError('NO_BACKUP', 'The input item does not say where the bytes of its backup are', {
		hint: 'Pass on the fields "artifact" and "manifest" unchanged. If they are, update n8n-nodes-lifeboat',
	});
}

/** @throws LifeboatError `STAGED_GONE` with the ways in which that happens in the editor. */
async function openStaged(path: string, fileName: string): Promise<Readable> {
	try {
		return await openFile(path);
	} catch (error) {
		if (codeOf(error) !== 'NOT_FOUND') throw error;
		throw new LifeboatError('STAGED_GONE', `The staged file of the backup ${fileName} is gone`, {
			hint: 'It is removed when the execution that made it ends. Run the whole workflow instead of this step alone, and unpin the data of the nodes before; a sub-workflow must store its backup with Upload',
			cause: error,
		});
	}
}

/** The file in a binary field, which must be there: opened from its start as often as need be. */
export function binaryData(
	context: IExecuteFunctions,
	itemIndex: number,
	field: string,
): { open: () => Promise<Readable>; fileName: string | undefined } {
	const { id, data, fileName } = context.helpers.assertBinaryData(itemIndex, field);
	const open = async () =>
		id ? await context.helpers.getBinaryStream(id, 256 * 1024) : Readable.from([Buffer.from(data, 'base64')]);
	return { open, fileName };
}

/** The incoming item as it is, backup and binary data included, and what this node found out besides. */
export function passOn(context: IExecuteFunctions, itemIndex: number, more: IDataObject): INodeExecutionData {
	const { json, binary } = context.getInputData()[itemIndex]!;
	return { json: { ...json, ...more }, ...(binary && { binary }), pairedItem: { item: itemIndex } };
}

/**
 * Makes the bytes of a backup flow, and returns the item that holds it. The item exists only if the backup is whole.
 *
 * @param more fields to add to the item's JSON.
 */
export async function emitArtifact(
	context: IExecuteFunctions,
	itemIndex: number,
	artifact: Artifact,
	handOver: HandOver,
	more: IDataObject = {},
): Promise<INodeExecutionData> {
	const staging = await stagingFor(context);
	const staged = await staging.write(artifact, cancelSignal(context));
	const { manifest } = staged;
	const pairedItem = { item: itemIndex };
	if (handOver === 'file') {
		return { json: item(manifest, { handOver: 'file', path: staged.path }, more), pairedItem };
	}
	// Staged first all the same: n8n would keep what a broken stream had written so far.
	const binary = await context.helpers.prepareBinaryData(
		createReadStream(staged.path),
		manifest.fileName,
		'application/octet-stream',
	);
	await rm(staged.path, { force: true });
	if (
		manifest.stored.size > largeBinaryBytes &&
		binary.data !== 'filesystem' &&
		!binary.data.startsWith('filesystem')
	) {
		context.addExecutionHints({
			type: 'warning',
			location: 'outputPane',
			message: `This backup (${Math.round(manifest.stored.size / 1024 / 1024)} MiB) was handed over as binary data, which this n8n keeps in memory or in its database. Choose "File" under "Hand Over As" instead`,
		});
	}
	return {
		json: item(manifest, { handOver: 'binary', field: binaryField }, more),
		binary: { [binaryField]: binary },
		pairedItem,
	};
}

function item(manifest: Manifest, artifact: Reference, more: IDataObject): IDataObject {
	return { ...more, artifact: { ...artifact }, manifest: manifest as unknown as IDataObject };
}
