import { LifeboatError } from '../errors';

/** Of an archive that holds more than is accepted. */
export function tooMuch(what: string): LifeboatError {
	return new LifeboatError('LIMIT_EXCEEDED', `The archive was not unpacked: it holds ${what}`, {
		hint: 'If that is right, raise the limit',
	});
}
