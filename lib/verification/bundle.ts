import { Readable } from 'node:stream';
import { isDeepStrictEqual } from 'node:util';

import { BUNDLE_MANIFEST } from '../archive/bundle';
import { damaged } from '../archive/tar-header';
import { readTar, type TarEntry } from '../archive/tar-reader';
import { storedArtifact } from '../artifact/file-artifact';
import type { BundleEntry, Manifest } from '../artifact/manifest';
import { undoEncodings, type Decoder } from '../artifact/transform';

import { proveContent } from './content';
import { asDamage } from './damage';
import { requireSameContent } from './same-content';

/** Of a larger one nothing good can be said, and it would be held in memory. */
const MAX_MANIFEST = 64 * 1024 * 1024;

/** A bundle: it begins with its manifest, holds what that names and nothing else, and everything in it is proven in its turn. */
export async function proveBundle(
	stream: Readable,
	manifest: Manifest,
	decoder: Decoder,
	signal?: AbortSignal,
): Promise<string[]> {
	const proved: string[] = [];
	const entries = manifest.entries ?? [];
	let index = -1;
	for await (const entry of readTar(stream)) {
		if (index === -1) await proveInnerManifest(entry, manifest);
		else proved.push(...(await proveEntry(entry, entries[index], manifest.fileName, decoder, signal)));
		index += 1;
	}
	if (index !== entries.length) {
		throw damaged(
			`the bundle ${manifest.fileName} holds ${Math.max(index, 0)} backups, its manifest names ${entries.length}`,
		);
	}
	return [`The bundle has its end and holds all ${entries.length} backups that it names`, ...proved];
}

async function proveInnerManifest({ header, body }: TarEntry, manifest: Manifest): Promise<void> {
	if (header.name !== BUNDLE_MANIFEST || header.size > MAX_MANIFEST) {
		throw damaged(`the bundle ${manifest.fileName} does not begin with ${BUNDLE_MANIFEST}`);
	}
	const parts: Buffer[] = [];
	for await (const part of body) parts.push(part);
	let inner: Partial<Manifest>;
	try {
		inner = JSON.parse(Buffer.concat(parts).toString('utf8')) as Partial<Manifest>;
	} catch (error) {
		throw damaged(`${BUNDLE_MANIFEST} in the bundle ${manifest.fileName} is not JSON`, undefined, error);
	}
	if (inner.id !== manifest.id || !isDeepStrictEqual(inner.entries, plain(manifest.entries))) {
		throw damaged(`${BUNDLE_MANIFEST} in the bundle ${manifest.fileName} is that of another bundle`);
	}
}

async function proveEntry(
	{ header, body }: TarEntry,
	expected: BundleEntry | undefined,
	bundle: string,
	decoder: Decoder,
	signal: AbortSignal | undefined,
): Promise<string[]> {
	if (!expected || header.type !== 'file' || header.name !== expected.path) {
		throw damaged(
			`the bundle ${bundle} holds ${JSON.stringify(header.name)} where its manifest names ${expected?.path ?? 'nothing'}`,
		);
	}
	const { manifest } = expected;
	const stored = storedArtifact(manifest, async () => Readable.from(body, { objectMode: false }));
	try {
		requireSameContent(manifest);
		const opened = await undoEncodings(stored, decoder).open(signal);
		const proved = await proveContent(opened.stream, manifest, decoder, signal);
		await opened.finish();
		return proved.map((sentence) => `${expected.path}: ${sentence}`);
	} catch (error) {
		throw asDamage(error, expected.path);
	}
}

/** As it comes out of JSON, without fields that are undefined. */
function plain(value: unknown): unknown {
	return value === undefined ? undefined : JSON.parse(JSON.stringify(value));
}
