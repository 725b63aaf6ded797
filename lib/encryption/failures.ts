import { LifeboatError } from '../errors';

/** @param what ends the sentence "The encrypted data ...". */
export function damaged(what: string, cause?: unknown): LifeboatError {
	return new LifeboatError('DAMAGED', `The encrypted data ${what}`, {
		hint: 'Do not use this copy. Take the same backup from another destination, or an older one',
		cause,
	});
}
