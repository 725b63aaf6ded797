import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';

import type { Artifact } from '../../../lib/artifact/artifact';
import type { Manifest } from '../../../lib/artifact/manifest';
import { produceArtifact, type NewBackup } from '../../../lib/artifact/produce';

export const now = new Date('2026-11-21T02:00:00.000Z');

export const newBackup: NewBackup = {
	name: 'files',
	kind: 'files',
	format: 'tar',
	source: { type: 'files', paths: ['/srv/data'] },
	now,
	extension: '.tar',
};

/** An artifact that holds these bytes. */
export function artifactOf(data: Buffer, backup: Partial<NewBackup> = {}): Artifact {
	return produceArtifact(
		{ ...newBackup, ...backup },
		async () => ({ stream: Readable.from([data], { objectMode: false }), finish: async () => ({}) }),
		() => new Date('2026-11-21T02:00:05.000Z'),
	);
}

export async function readWhole(artifact: Artifact): Promise<{ bytes: Buffer; manifest: Manifest }> {
	const opened = await artifact.open();
	const bytes = await buffer(opened.stream);
	return { bytes, manifest: await opened.finish() };
}
