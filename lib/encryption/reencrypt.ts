import { PassThrough, Transform, type Duplex, type Readable, type TransformCallback } from 'node:stream';

import type { Artifact } from '../artifact/artifact';
import type { Manifest } from '../artifact/manifest';
import { applyEncoding, undoEncodings, type Decoder, type Encoding } from '../artifact/transform';
import { LifeboatError } from '../errors';
import { chain } from '../streams/chain';
import { DigestStream, type ExpectedDigest } from '../streams/digest';

/**
 * The same backup with other keys, in one pass: decrypted and encrypted again, nothing staged. What is encrypted again is decoded to its content
 * beside, and compared with the manifest's: a stream that ends holds the very content that was backed up.
 *
 * @param decoder has the keys that open the backup now.
 * @throws LifeboatError `NOT_ENCRYPTED`; what reading throws comes while it is read.
 */
export function reencrypt(
	artifact: Artifact & { manifest: Manifest },
	decoder: Decoder,
	encoding: Encoding,
): Artifact {
	const { manifest } = artifact;
	if (manifest.transformations.at(-1)?.type !== 'encryption') {
		throw new LifeboatError('NOT_ENCRYPTED', `The backup ${manifest.fileName} is not encrypted`, {
			hint: 'Choose the operation Encrypt for it',
		});
	}
	const decrypted = undoEncodings(artifact, decoder, ({ type }) => type === 'encryption');
	const left = decrypted.draft.transformations.toReversed();
	const expected = { ...manifest.content, what: `content of ${manifest.fileName}` };
	const proven: Artifact = {
		draft: decrypted.draft,
		async open(signal) {
			const decoders: Duplex[] = [];
			for (const transformation of left) decoders.push(await decoder(transformation));
			const opened = await decrypted.open(signal);
			const stream = chain(opened.stream, [new ContentProof(decoders, expected)], signal);
			return { stream, finish: async () => opened.finish() };
		},
	};
	return applyEncoding(proven, encoding);
}

/** Passes bytes through, and fails instead of ending unless what they decode to is what is expected. */
class ContentProof extends Transform {
	private readonly input = new PassThrough();

	private readonly content: Readable;

	constructor(decoders: readonly Duplex[], expected: ExpectedDigest) {
		super();
		this.content = chain(this.input, [...decoders, new DigestStream(expected)]).resume();
		this.content.on('error', (error) => this.destroy(error));
	}

	override _transform(data: Buffer, _encoding: BufferEncoding, callback: TransformCallback): void {
		if (this.input.write(data)) callback(null, data);
		else this.input.once('drain', () => callback(null, data));
	}

	override _flush(callback: TransformCallback): void {
		this.content.once('end', () => callback());
		this.input.end();
	}

	override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
		this.input.destroy();
		this.content.destroy();
		callback(error);
	}
}
