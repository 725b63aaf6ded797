import { open } from 'node:fs/promises';
import type { Readable } from 'node:stream';

import { codeOf, LifeboatError } from '../errors';
import { systemMessage } from '../streams/atomic-file';
import { chain } from '../streams/chain';
import { DigestStream } from '../streams/digest';
import { FileReader, type FileRange } from '../streams/file-reader';

import type { Artifact } from './artifact';
import type { Manifest } from './manifest';

/**
 * An artifact whose bytes lie somewhere, whole, with a manifest that says what they must be. Reading compares them with
 * it: bytes that differ end in `CHECKSUM_MISMATCH`, never in an end of stream.
 *
 * @param openBytes called at each opening.
 */
export function storedArtifact(
	manifest: Manifest,
	openBytes: (signal?: AbortSignal) => Promise<Readable>,
): Artifact & { manifest: Manifest } {
	return {
		draft: manifest,
		manifest,
		async open(signal) {
			const digest = new DigestStream({ ...manifest.stored, what: `backup ${manifest.fileName}` });
			const stream = chain(await openBytes(signal), [digest], signal);
			return {
				stream,
				async finish() {
					digest.digest();
					return manifest;
				},
			};
		},
	};
}

/** An artifact in a local file. */
export function fileArtifact(manifest: Manifest, path: string): Artifact & { manifest: Manifest } {
	return storedArtifact(manifest, async () => openFile(path));
}

/** Opens a local file for reading. @throws LifeboatError `NOT_FOUND` or `READ_FAILED`. */
export async function openFile(path: string, range: FileRange = {}): Promise<Readable> {
	try {
		const handle = await open(path, 'r');
		const stats = await handle.stat();
		if (stats.isDirectory()) {
			await handle.close();
			throw new LifeboatError('READ_FAILED', `${path} is a folder, not a file`, {
				hint: 'Give the path of the backup itself',
			});
		}
		return new FileReader(handle, stats.isFile() ? { start: 0, ...range } : range);
	} catch (error) {
		if (error instanceof LifeboatError) throw error;
		if (codeOf(error) === 'ENOENT') {
			throw new LifeboatError('NOT_FOUND', `${path} does not exist`, {
				hint: 'Check the path: it must be the one that n8n sees (inside its container, if it runs in one)',
				cause: error,
			});
		}
		throw new LifeboatError('READ_FAILED', `${path} could not be read: ${systemMessage(error)}`, {
			hint: 'Check that the user n8n runs as may read it',
			cause: error,
		});
	}
}
