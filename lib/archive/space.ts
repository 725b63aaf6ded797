import { statfs } from 'node:fs/promises';

import { LifeboatError } from '../errors';

/** Bytes below which asking first costs more than it spares. */
const WORTH_ASKING = 1024 * 1024;

/** Keeps a restore from filling a disk before it fails. */
export class SpaceGuard {
	constructor(private readonly folder: string) {}

	/** @throws LifeboatError `DISK_FULL` if so many bytes don't fit any more. */
	async ensure(bytes: number): Promise<void> {
		if (bytes < WORTH_ASKING) return;
		const { bavail, bsize } = await statfs(this.folder);
		const free = bavail * bsize;
		if (bytes <= free) return;
		throw new LifeboatError(
			'DISK_FULL',
			`Not enough space in ${this.folder}: ${megabytes(bytes)} are needed, ${megabytes(free)} are free`,
			{ hint: 'Free space on that disk or choose a folder on another one. Nothing was changed' },
		);
	}
}

function megabytes(bytes: number): string {
	return `${Math.ceil(bytes / 1e6)} MB`;
}
