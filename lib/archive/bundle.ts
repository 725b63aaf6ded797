import { Readable } from 'node:stream';

import type { Artifact } from '../artifact/artifact';
import { storedArtifact } from '../artifact/file-artifact';
import type { BundleEntry, Manifest } from '../artifact/manifest';
import { produceArtifact } from '../artifact/produce';
import { LifeboatError } from '../errors';

import { coalesce } from './coalesce';
import { readTar } from './tar-reader';
import { encodeEntry, END_OF_ARCHIVE, padding } from './tar-writer';

/** The first entry of every bundle: what it holds, readable by hand. */
export const BUNDLE_MANIFEST = 'manifest.json';

export interface BundleOptions {
	/** The name of the job. */
	name: string;
	/** When the backup begins. */
	now: Date;
	/** What goes in, in this order. Each has its manifest: it is staged or stored. */
	artifacts: readonly (Artifact & { manifest: Manifest })[];
}

/**
 * Several backups of one run as one: a tar archive with `manifest.json` first (the bundle's own manifest as far as it is known before its
 * bytes, with the whole manifest of each entry), then each backup under its file name. Each is compared with its manifest on the way.
 *
 * @throws LifeboatError `NOTHING_TO_ARCHIVE` without artifacts, `INVALID_OPTION` for a bundle in a bundle.
 */
export function packBundle({ name, now, artifacts }: BundleOptions): Artifact {
	if (artifacts.length === 0) {
		throw new LifeboatError('NOTHING_TO_ARCHIVE', `There is nothing to put into the bundle ${name}`, {
			hint: 'Connect nodes that make backups before this one',
		});
	}
	const nested = artifacts.find(({ manifest }) => manifest.kind === 'bundle');
	if (nested) {
		throw new LifeboatError('INVALID_OPTION', `${nested.manifest.fileName} is a bundle itself`, {
			hint: 'Put the backups it was made of into the new bundle instead',
		});
	}
	const paths = uniqueNames(artifacts.map(({ manifest }) => manifest.fileName));
	const entries = artifacts.map(({ manifest }, index) => ({ path: paths[index]!, manifest }));
	const artifact: Artifact = produceArtifact(
		{ name, kind: 'bundle', format: 'tar', source: { type: 'bundle' }, now, extension: '.tar', entries },
		async (signal) => {
			let isWhole = false;
			async function* bytes() {
				const text = Buffer.from(`${JSON.stringify(artifact.draft, null, 2)}\n`);
				yield header(BUNDLE_MANIFEST, text.length, now);
				yield text;
				yield padding(text.length);
				for (const [index, inner] of artifacts.entries()) {
					const { manifest } = inner;
					yield header(paths[index]!, manifest.stored.size, new Date(manifest.createdAt));
					const opened = await inner.open(signal);
					yield* exactly(opened.stream, manifest);
					await opened.finish();
					yield padding(manifest.stored.size);
				}
				yield END_OF_ARCHIVE;
				isWhole = true;
			}
			return {
				stream: Readable.from(coalesce(bytes()), { objectMode: false, highWaterMark: 1024 * 1024 }),
				async finish() {
					if (isWhole) return {};
					throw new LifeboatError('INCOMPLETE', `The bundle ${name} was not written to its end`, {
						hint: 'Run the node again',
					});
				},
			};
		},
	);
	return artifact;
}

/**
 * One entry of a bundle as an artifact of its own, streamed out of the bundle. Its stream ends only after the rest of the bundle was read
 * to its end, too, and the entry's bytes are those of its manifest: whatever checks the bundle as a whole has spoken by then.
 *
 * @param bundle the bundle with its transformations undone (`undoEncodings`).
 * @param choose asked for each entry, in order; the first that it takes.
 * @throws LifeboatError `INVALID_OPTION` if this is no bundle, or one that is still compressed or encrypted; `NOT_FOUND` if no entry is
 * taken; when read, `DAMAGED`, `INCOMPLETE` or `CHECKSUM_MISMATCH`.
 */
export function bundleEntry(
	bundle: Artifact,
	choose: (entry: BundleEntry) => boolean,
): Artifact & { manifest: Manifest } {
	const { draft } = bundle;
	if (draft.kind !== 'bundle' || draft.transformations.length > 0) {
		throw new LifeboatError('INVALID_OPTION', `${draft.fileName} is not an open bundle`, {
			hint: 'Choose a backup made by bundling, and decrypt and decompress it first',
		});
	}
	const entry = draft.entries?.find(choose);
	if (!entry) {
		const held = draft.entries?.map(({ path }) => path).join(', ');
		throw new LifeboatError('NOT_FOUND', `The bundle ${draft.fileName} holds no such backup`, {
			hint: held ? `It holds ${held}` : 'Its manifest names no entries',
		});
	}
	return storedArtifact(entry.manifest, async (signal) => {
		const opened = await bundle.open(signal);
		async function* bytes() {
			let isFound = false;
			for await (const { header, body } of readTar(opened.stream)) {
				if (header.name !== entry!.path) continue;
				if (isFound || header.type !== 'file') throw notAsDescribed(draft.fileName, entry!.path);
				isFound = true;
				yield* body;
			}
			if (!isFound) throw notAsDescribed(draft.fileName, entry!.path);
			await opened.finish();
		}
		return Readable.from(bytes(), { objectMode: false, highWaterMark: 1024 * 1024 });
	});
}

/** Names as they are, but no two the same, also where upper and lower case are, and none that of the bundle's own manifest. */
function uniqueNames(names: readonly string[]): string[] {
	const taken = new Set([BUNDLE_MANIFEST]);
	return names.map((name) => {
		const dot = name.indexOf('.', 1);
		const [stem, extension] = dot === -1 ? [name, ''] : [name.slice(0, dot), name.slice(dot)];
		let unique = name;
		for (let number = 2; taken.has(unique.toLowerCase()); number++) unique = `${stem}-${number}${extension}`;
		taken.add(unique.toLowerCase());
		return unique;
	});
}

/** A tar header has promised the size, so bytes too many or too few would corrupt what follows. */
async function* exactly(stream: Readable, manifest: Manifest): AsyncGenerator<Buffer, void, undefined> {
	let size = 0;
	for await (const chunk of stream as AsyncIterable<Buffer>) {
		size += chunk.length;
		if (size > manifest.stored.size) break;
		yield chunk;
	}
	if (size === manifest.stored.size) return;
	throw new LifeboatError('CHECKSUM_MISMATCH', `${manifest.fileName} is not as long as its manifest says`, {
		hint: 'Make this backup again',
	});
}

function header(name: string, size: number, time: Date): Buffer {
	const mtimeNs = BigInt(Math.floor(time.getTime() / 1000)) * 1_000_000_000n;
	return encodeEntry({ type: 'File', name, size, mode: 0o600, uid: 0, gid: 0, mtimeNs });
}

function notAsDescribed(bundle: string, path: string): LifeboatError {
	return new LifeboatError('DAMAGED', `The bundle ${bundle} does not hold ${path} as its manifest says`, {
		hint: 'Do not use this copy. Take the same backup from another destination, or an older one',
	});
}
