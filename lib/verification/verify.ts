import type { Artifact } from '../artifact/artifact';
import type { Manifest } from '../artifact/manifest';
import type { Decoder } from '../artifact/transform';
import { LifeboatError } from '../errors';

import type { VerificationReport } from './report';

/** The bytes as they lie there have the size and the SHA-256 of the manifest. Needs no key. */
export async function verifyStored(
	_artifact: Artifact & { manifest: Manifest },
	_signal?: AbortSignal,
): Promise<VerificationReport> {
	throw new LifeboatError('NOT_READY', 'Verification is not written yet');
}

/** As `verifyStored`, and it decrypts and decompresses to the end, to the very content that was backed up. */
export async function verifyReadable(
	_artifact: Artifact & { manifest: Manifest },
	_decoder: Decoder,
	_signal?: AbortSignal,
): Promise<VerificationReport> {
	throw new LifeboatError('NOT_READY', 'Verification is not written yet');
}

/** As `verifyReadable`, and the content is whole by its own format: dump trailer and row counts, archive end and headers. */
export async function verifyComplete(
	_artifact: Artifact & { manifest: Manifest },
	_decoder: Decoder,
	_signal?: AbortSignal,
): Promise<VerificationReport> {
	throw new LifeboatError('NOT_READY', 'Verification is not written yet');
}
