import { LifeboatError } from '../errors';

import type { GetOptions, Storage } from './storage';

/**
 * A range within an object of a size; all of it when none is asked for. An end behind the last byte means the last byte.
 *
 * @throws LifeboatError `INVALID_RANGE` if it holds no byte.
 */
export function checkedRange(
	size: number,
	range: GetOptions['range'],
	what: string,
): { start: number; end: number; length: number } {
	if (!range) return { start: 0, end: size - 1, length: size };
	const { start } = range;
	const end = Math.min(range.end ?? size - 1, size - 1);
	if (Number.isInteger(start) && Number.isInteger(end) && start >= 0 && start <= end) {
		return { start, end, length: end - start + 1 };
	}
	throw invalidRange(range, what);
}

/** What to throw for a range that holds no byte. */
export function invalidRange(
	range: NonNullable<GetOptions['range']>,
	what: string,
	cause?: unknown,
): LifeboatError {
	return new LifeboatError(
		'INVALID_RANGE',
		`${what} has no bytes ${range.start} to ${range.end ?? 'its end'}`,
		{
			hint: 'The object is shorter than expected: it may have been replaced',
			cause,
		},
	);
}

/** What to throw for a key under which nothing lies. */
export function notFound(storage: Storage, key: string, cause?: unknown): LifeboatError {
	return new LifeboatError('NOT_FOUND', `There is no ${key} in ${storage.description}`, {
		hint: 'It may have been deleted or moved. List the backups to see which there are',
		cause,
	});
}
