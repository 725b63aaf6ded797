import type { Readable } from 'node:stream';

import type { Manifest } from '../artifact/manifest';
import type { Decoder } from '../artifact/transform';

import { proveBundle } from './bundle';
import { proveCustomArchive } from './custom-archive';
import { proveArchive } from './files';
import { provePlainSql } from './plain-sql';

/**
 * Reads content to its end and proves that it is whole by its own format.
 *
 * @param stream the content, all transformations undone. Destroyed on failure.
 * @returns what is proven, a sentence each.
 */
export async function proveContent(
	stream: Readable,
	manifest: Manifest,
	decoder: Decoder,
	signal?: AbortSignal,
): Promise<string[]> {
	try {
		if (manifest.kind === 'bundle') return await proveBundle(stream, manifest, decoder, signal);
		switch (manifest.format) {
			case 'tar':
				return await proveArchive(stream, manifest);
			case 'plain-sql':
				return await provePlainSql(stream, manifest);
			case 'pg-custom':
				return await proveCustomArchive(stream, manifest);
		}
	} catch (error) {
		stream.destroy();
		throw error;
	}
}
