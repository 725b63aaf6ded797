import type { Artifact } from '../artifact/artifact';
import { storedArtifact } from '../artifact/file-artifact';
import type { Manifest } from '../artifact/manifest';
import { undoEncodings, type Decoder } from '../artifact/transform';
import { readToEnd } from '../streams/read-to-end';

import { proveContent } from './content';
import { asDamage } from './damage';
import { requireSameContent } from './same-content';
import type { VerificationLevel, VerificationReport } from './report';

type KnownArtifact = Artifact & { manifest: Manifest };

/**
 * The bytes as they lie there have the size and the SHA-256 of the manifest. Needs no key.
 *
 * @throws LifeboatError `CHECKSUM_MISMATCH`; whatever reading them throws.
 */
export async function verifyStored(
	artifact: KnownArtifact,
	signal?: AbortSignal,
): Promise<VerificationReport> {
	return await verify('stored', artifact, async () => {
		await readWhole(checked(artifact), signal);
		return [];
	});
}

/**
 * As `verifyStored`, and undoing all encryptions and compressions gives, to the last byte, the content that was backed up.
 *
 * @throws LifeboatError `CHECKSUM_MISMATCH`, `DAMAGED`; whatever the decoder throws for want of a key.
 */
export async function verifyReadable(
	artifact: KnownArtifact,
	decoder: Decoder,
	signal?: AbortSignal,
): Promise<VerificationReport> {
	return await verify('readable', artifact, async () => {
		requireSameContent(artifact.manifest);
		await readWhole(undoEncodings(checked(artifact), decoder), signal);
		return [readableProof(artifact.manifest)];
	});
}

/**
 * As `verifyReadable`, and the content is whole by its own format: a dump has its last line and each table the rows that were counted, an
 * archive its end and all its entries, and so has everything in a bundle. One pass over the bytes.
 *
 * @throws LifeboatError as `verifyReadable`, and `INCOMPLETE`, `ROW_COUNT_MISMATCH`, `ENTRY_COUNT_MISMATCH`.
 */
export async function verifyComplete(
	artifact: KnownArtifact,
	decoder: Decoder,
	signal?: AbortSignal,
): Promise<VerificationReport> {
	const { manifest } = artifact;
	return await verify('complete', artifact, async () => {
		requireSameContent(manifest);
		const opened = await undoEncodings(checked(artifact), decoder).open(signal);
		const proved = await proveContent(opened.stream, manifest, decoder, signal);
		await opened.finish();
		return [readableProof(manifest), ...proved];
	});
}

/** Compares the bytes with the manifest, whatever the artifact itself does about that. */
function checked(artifact: KnownArtifact): KnownArtifact {
	return storedArtifact(artifact.manifest, async (signal) => (await artifact.open(signal)).stream);
}

async function readWhole(artifact: Artifact, signal: AbortSignal | undefined): Promise<void> {
	const opened = await artifact.open(signal);
	await readToEnd(opened.stream);
	await opened.finish();
}

async function verify(
	level: VerificationLevel,
	{ manifest }: KnownArtifact,
	prove: () => Promise<string[]>,
): Promise<VerificationReport> {
	const started = performance.now();
	try {
		const proved = await prove();
		const { size } = manifest.stored;
		const stored = `${manifest.fileName} has the ${size} bytes and the SHA-256 of its manifest`;
		const seconds = Math.round(performance.now() - started) / 1000;
		return { level, bytes: size, seconds, proved: [stored, ...proved] };
	} catch (error) {
		throw asDamage(error, manifest.fileName);
	}
}

function readableProof({ transformations, content }: Manifest): string {
	const how = transformations.map(({ format }) => format).toReversed();
	const steps =
		how.length > 0 ? `It opens to its end (${how.join(', then ')})` : 'It is not compressed or encrypted';
	return `${steps}, and its content is the ${content.size} bytes that were backed up, by their SHA-256`;
}
