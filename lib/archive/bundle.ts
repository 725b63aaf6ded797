import type { Artifact } from '../artifact/artifact';
import type { BundleEntry, Manifest } from '../artifact/manifest';
import { LifeboatError } from '../errors';

export interface BundleOptions {
	/** The name of the job. */
	name: string;
	/** When the backup begins. */
	now: Date;
	/** What goes in, in this order. Each has its manifest: it is staged or stored. */
	artifacts: readonly (Artifact & { manifest: Manifest })[];
}

/** Several backups of one run as one: a tar archive with `manifest.json` first, then each backup under its file name. */
export function packBundle(_options: BundleOptions): Artifact {
	throw new LifeboatError('NOT_READY', 'Bundling is not written yet');
}

/** One entry of a bundle as an artifact of its own, streamed out of the bundle, whose transformations must be undone already. */
export function bundleEntry(
	_bundle: Artifact,
	_choose: (entry: BundleEntry) => boolean,
): Artifact & { manifest: Manifest } {
	throw new LifeboatError('NOT_READY', 'Bundling is not written yet');
}
