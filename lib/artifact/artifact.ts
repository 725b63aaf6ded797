import type { Readable } from 'node:stream';

import type { Manifest, ManifestDraft } from './manifest';

/**
 * A backup on its way through a workflow: what is known of it, and a way to open its bytes.
 *
 * Nothing flows before `open` is called, and each call starts anew. The draft is all that can be known before the bytes have
 * run through; the manifest, with sizes and checksums, comes from `OpenArtifact.finish`. So the same interface serves a
 * staged file, n8n's binary data, and a stream that is produced only while the last node pulls.
 */
export interface Artifact {
	readonly draft: ManifestDraft;

	/** The whole manifest, where it is known without reading the bytes (staged and stored artifacts). */
	readonly manifest?: Manifest;

	/**
	 * @param signal destroys every stage when it aborts.
	 * @throws LifeboatError when the source can't be opened.
	 */
	open(signal?: AbortSignal): Promise<OpenArtifact>;
}

/** An artifact whose bytes are being read. */
export interface OpenArtifact {
	/** Ends only when the bytes are whole; otherwise it fails. The reader destroys it when it stops early. */
	readonly stream: Readable;

	/**
	 * To be called once `stream` was read to its end.
	 *
	 * @throws LifeboatError `INCOMPLETE` if it was not, or whatever shows that the bytes aren't what they should be.
	 */
	finish(): Promise<Manifest>;
}
