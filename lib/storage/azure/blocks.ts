import { LifeboatError } from '../../errors';
import type { PartSizes } from '../parts';

const MiB = 1024 * 1024;

/** Limits of the service ("Scalability and performance targets for Blob storage"). */
export const MAX_BLOCKS = 50_000;
const MAX_BLOCK = 4000 * MiB;
const SMALLEST_BLOCK = 8 * MiB;

/**
 * Gives the size of the block with a number, from 1 on, so that an object fits into 50,000 blocks. Where the size is known, all are
 * equal: 8 MiB up to 390 GiB, more beyond, up to 4,000 MiB at 190 TiB. Where it isn't, they double every 5,000 blocks: 39 TiB in all.
 *
 * @throws LifeboatError `FILE_TOO_LARGE`.
 */
export function blockSizes(size: number | undefined): PartSizes {
	if (size === undefined) {
		return (blockNumber) => SMALLEST_BLOCK * 2 ** Math.min(8, Math.floor((blockNumber - 1) / 5000));
	}
	const blockSize = Math.max(SMALLEST_BLOCK, Math.ceil(size / MAX_BLOCKS / MiB) * MiB);
	if (blockSize <= MAX_BLOCK) return () => blockSize;
	throw new LifeboatError('FILE_TOO_LARGE', `The backup has ${size} bytes; Azure takes at most 190 TiB`, {
		hint: 'Split it, for example by database or folder',
	});
}

/** Whether a block comes from an upload of ours. */
export function isOurs(id: string): boolean {
	return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}-\d{5}$/.test(Buffer.from(id, 'base64').toString());
}
