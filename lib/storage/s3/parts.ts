import { LifeboatError } from '../../errors';
import type { PartSizes } from '../parts';

const MiB = 1024 * 1024;

/** Limits of the S3 API ("Amazon S3 multipart upload limits"). */
export const MAX_PARTS = 10_000;
const MAX_OBJECT_SIZE = 5 * 1024 * 1024 * MiB;

/** Where the size is known, parts needn't grow: small ones leave more of the memory to what else is under way. */
const SMALLEST_PART = 6 * MiB;

/** Where it isn't: parts double every 1,000. */
const FIRST_PART = 8 * MiB;

/**
 * Part sizes with which an object fits into 10,000 parts. Where the size is known, all are equal: 6 MiB up to 58 GiB, more
 * beyond. Where it isn't, they double every 1,000 parts, or, where they must be equal, have 64 MiB (610 GiB in all).
 *
 * @throws LifeboatError `FILE_TOO_LARGE` beyond the 5 TiB an object may have.
 */
export function partSizes(size: number | undefined, equal: boolean): PartSizes {
	if (size !== undefined) {
		if (size > MAX_OBJECT_SIZE) {
			throw new LifeboatError('FILE_TOO_LARGE', `The backup has ${size} bytes; S3 takes at most 5 TiB`, {
				hint: 'Split it, for example by database or folder',
			});
		}
		const partSize = Math.max(SMALLEST_PART, Math.ceil(size / MAX_PARTS / MiB) * MiB);
		return () => partSize;
	}
	if (equal) return () => 64 * MiB;
	return (partNumber) => FIRST_PART * 2 ** Math.min(8, Math.floor((partNumber - 1) / 1000));
}
