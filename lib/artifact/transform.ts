import type { Duplex } from 'node:stream';

import { LifeboatError } from '../errors';
import { chain } from '../streams/chain';
import { DigestStream, sameDigest } from '../streams/digest';

import type { Artifact } from './artifact';
import type { Manifest, Transformation } from './manifest';
import { restoreCommands } from './restore-commands';

/** One reversible step on the bytes of an artifact: a compression or an encryption. */
export interface Encoding {
	readonly transformation: Transformation;
	/** With its dot: `.zst`, `.age`. */
	readonly extension: string;
	/** A fresh transform a call. */
	createTransform(): Promise<Duplex>;
}

/** Makes the transform that undoes a step. @throws LifeboatError when that can't be done (no key, unknown format). */
export type Decoder = (transformation: Transformation) => Promise<Duplex>;

/** The same backup with one more step applied. */
export function applyEncoding(artifact: Artifact, encoding: Encoding): Artifact {
	const change = <T extends Pick<Manifest, 'transformations' | 'fileName'>>(manifest: T): T => ({
		...manifest,
		transformations: [...manifest.transformations, encoding.transformation],
		fileName: manifest.fileName + encoding.extension,
	});
	return {
		draft: change(artifact.draft),
		async open(signal) {
			const transform = await encoding.createTransform();
			const inner = await artifact.open(signal);
			const digest = new DigestStream();
			return {
				stream: chain(inner.stream, [transform, digest], signal),
				async finish() {
					const manifest = { ...change(await inner.finish()), stored: digest.digest() };
					return { ...manifest, restoreCommands: restoreCommands(manifest) };
				},
			};
		},
	};
}

/** Which steps to undo: a predicate asked from the last step on; the first `false` ends it. */
export type UndoWhile = (transformation: Transformation) => boolean;

/**
 * The same backup with its last steps undone. When none is left, its bytes are compared with the content's size and
 * SHA-256: a stream that ends is then the very content that was backed up, otherwise it fails with `CHECKSUM_MISMATCH`.
 */
export function undoEncodings(
	artifact: Artifact,
	decoder: Decoder,
	undoWhile: UndoWhile = () => true,
): Artifact {
	const all = artifact.draft.transformations;
	let kept = all.length;
	while (kept > 0 && undoWhile(all[kept - 1]!)) kept -= 1;
	if (kept === all.length) return artifact;
	const undone = all.slice(kept).toReversed();
	const change = <T extends Pick<Manifest, 'transformations' | 'fileName'>>(manifest: T): T => ({
		...manifest,
		transformations: manifest.transformations.slice(0, kept),
		fileName: withoutExtensions(manifest.fileName, undone.length),
	});
	const content = artifact.manifest?.content;
	return {
		draft: change(artifact.draft),
		async open(signal) {
			const transforms: Duplex[] = [];
			for (const transformation of undone) transforms.push(await decoder(transformation));
			const what = `content of ${artifact.draft.fileName}`;
			const digest = new DigestStream(kept === 0 && content ? { ...content, what } : undefined);
			const inner = await artifact.open(signal);
			return {
				stream: chain(inner.stream, [...transforms, digest], signal),
				async finish() {
					const stored = digest.digest();
					const manifest = { ...change(await inner.finish()), stored };
					if (kept === 0 && !sameDigest(stored, manifest.content)) {
						throw new LifeboatError('CHECKSUM_MISMATCH', `The ${what} is not what was backed up`, {
							hint: 'Do not use this copy. Take the same backup from another destination, or an older one',
						});
					}
					return { ...manifest, restoreCommands: restoreCommands(manifest) };
				},
			};
		},
	};
}

function withoutExtensions(fileName: string, count: number): string {
	let name = fileName;
	for (let i = 0; i < count; i++) name = name.replace(/\.(?:age|aes|gpg|zst|gz)$/, '');
	return name;
}
